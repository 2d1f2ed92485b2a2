// prefix_sums_6_50_0: 2 × 128 threads, 0 bytes shared
extern "C" __global__ void __launch_bounds__(128, 1) prefix_sums_6_50_0(const float* __restrict__ b0_x, float*
    __restrict__ b1_y, float* __restrict__ b2_y) {
  const int lane = threadIdx.x % 32;
  const unsigned mask = 0xffffffffu;
  const int i0 = (int)blockIdx.x * 4 + (int)threadIdx.x / 32;
  if (i0 < 6) {
    float v0 = 0.0f;
    #pragma unroll 8
    for (int i1 = 0; i1 < 50; i1++) {
      v0 = v0 + b0_x[i0 * 50 + i1];
      if (lane == 0) b1_y[i0 * 50 + i1] = v0;
    }
    float v1 = 0.0f;
    for (int i2 = 0; i2 < 3; i2++) {
      float v1_part = 0.0f;
      if (lane * 2 < 50) {
        const int i1_first = lane * 2;
        const Pack<float, 2> pack0 = load_pack<float, 2>(b0_x + i0 * 50 + i1_first);
        #pragma unroll
        for (int u = 0; u < 2; u++) {
          const int i1 = i1_first + u;
          v1_part = v1_part + pack0.at[u];
        }
      }
      {
        v1_part = fold<Sum, 16>(mask, v1_part);
        v1_part = fold<Sum, 8>(mask, v1_part);
        v1_part = fold<Sum, 4>(mask, v1_part);
        v1_part = fold<Sum, 2>(mask, v1_part);
        v1_part = fold<Sum, 1>(mask, v1_part);
        const int first = threadIdx.x % 32 / 32 * 32;
        v1 = Sum::of(v1, v1_part);
      }
      if (lane == 0) b2_y[i0 * 3 + i2] = v1;
    }
  }
}
