// column_sums_9_4_0: 1 × 32 threads, 0 bytes shared
// column_sums_9_4_1: 1 × 32 threads, 0 bytes shared
extern "C" __global__ void __launch_bounds__(32, 32) column_sums_9_4_0(const float* __restrict__ b0_x, float*
    __restrict__ b2_w) {
  const int i0 = (int)blockIdx.x * 32 + (int)threadIdx.x;
  if (i0 < 4) {
    for (int i2_first = 0; i2_first < 4; i2_first += 4) {
      Pack<float, 4> pack0;
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i2 = i2_first + u;
        pack0.at[u] = 0.0f;
      }
      store_pack<float, 4>(b2_w + i0 * 4 + i2_first, pack0);
    }
    for (int i1 = 0; i1 < 3; i1++) {
      for (int i2_first = 0; i2_first < 4; i2_first += 4) {
        const Pack<float, 4> pack1 = load_pack<float, 4>(b2_w + i0 * 4 + i2_first);
        Pack<float, 4> pack2;
        #pragma unroll
        for (int u = 0; u < 4; u++) {
          const int i2 = i2_first + u;
          pack2.at[u] = pack1.at[u] + ((((long long)(i0 * 3 + i1)) < 9LL) ? b0_x[i0 * 12 + i1 * 4 + i2] : 0.0f);
        }
        store_pack<float, 4>(b2_w + i0 * 4 + i2_first, pack2);
      }
    }
  }
}
extern "C" __global__ void __launch_bounds__(32, 32) column_sums_9_4_1(float* __restrict__ b1_y, float* __restrict__
    b2_w) {
  const int i2 = (int)blockIdx.x * 32 + (int)threadIdx.x;
  if (i2 < 4) {
    float v0 = 0.0f;
    for (int i0 = 0; i0 < 4; i0++) {
      v0 = v0 + b2_w[i0 * 4 + i2];
    }
    b1_y[i2] = v0;
  }
}
