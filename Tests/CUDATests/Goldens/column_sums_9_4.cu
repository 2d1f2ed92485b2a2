// column_sums_9_4_0: 1 × 32 threads, 0 bytes shared
// column_sums_9_4_1: 1 × 32 threads, 0 bytes shared
extern "C" __global__ void __launch_bounds__(32, 1) column_sums_9_4_0(float* __restrict__ b0_w, const float*
    __restrict__ b1_x) {
  const int i0 = (int)blockIdx.x * 32 + (int)threadIdx.x;
  if (i0 < 4) {
    {
      const int i1_first = 0;
      Pack<float, 4> pack0;
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        pack0.at[u] = 0.0f;
      }
      store_pack<float, 4>(b0_w + i0 * 4 + i1_first, pack0);
    }
    for (int i2 = 0; i2 < 3; i2++) {
      {
        const int i1_first = 0;
        const Pack<float, 4> pack1 = load_pack<float, 4>(b0_w + i0 * 4 + i1_first);
        Pack<float, 4> pack2;
        #pragma unroll
        for (int u = 0; u < 4; u++) {
          const int i1 = i1_first + u;
          pack2.at[u] = pack1.at[u] + ((((long long)(i0 * 3 + i2)) < 9LL) ? b1_x[i0 * 12 + i2 * 4 + i1] : 0.0f);
        }
        store_pack<float, 4>(b0_w + i0 * 4 + i1_first, pack2);
      }
    }
  }
}
extern "C" __global__ void __launch_bounds__(32, 1) column_sums_9_4_1(float* __restrict__ b0_w, float* __restrict__
    b1_y) {
  const int i0 = (int)blockIdx.x * 32 + (int)threadIdx.x;
  if (i0 < 4) {
    float v0 = 0.0f;
    for (int i1 = 0; i1 < 4; i1++) {
      v0 = v0 + b0_w[i1 * 4 + i0];
    }
    b1_y[i0] = v0;
  }
}
