// reversed_9_4_0: 1 × 32 threads, 0 bytes shared
extern "C" __global__ void __launch_bounds__(32, 1) reversed_9_4_0(const float* __restrict__ b1_x, float* __restrict__
    b2_y) {
  const int i0 = (int)blockIdx.x * 32 + (int)threadIdx.x;
  if (i0 < 9) {
    float b0_t[4];
    {
      const int i1_first = 0;
      const Pack<float, 4> pack0 = load_pack<float, 4>(b1_x + i0 * 4 + i1_first);
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        b0_t[i1] = pack0.at[u];
      }
    }
    {
      const int i1_first = 0;
      Pack<float, 4> pack1;
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        pack1.at[u] = b0_t[-i1 + 3] * b0_t[i1];
      }
      store_pack<float, 4>(b2_y + i0 * 4 + i1_first, pack1);
    }
  }
}
