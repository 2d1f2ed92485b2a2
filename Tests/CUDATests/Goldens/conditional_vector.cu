// conditional_vector_0: 23 × 64 threads, 400 bytes shared
extern "C" __global__ void __launch_bounds__(64, 1) conditional_vector_0(const float* __restrict__ b2_x, float*
    __restrict__ b3_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float* const b0_t = (float*)(shared + 32);
    float b1_t[1];
    const float v0 = b2_x[i0 * 90];
    if (lane * 2 < 90) {
      const int i1_first = lane * 2;
      Pack<float, 2> pack0;
      #pragma unroll
      for (int u = 0; u < 2; u++) {
        const int i1 = i1_first + u;
        pack0.at[u] = -1.0f;
      }
      store_pack<float, 2>(b3_y + i0 * 90 + i1_first, pack0);
    }
    b1_t[0] = 7.0f;
    if (v0 > 0.0f) {
      float v1 = 0.0f;
      float v1_part = 0.0f;
      if (lane * 2 < 90) {
        const int i1_first = lane * 2;
        const Pack<float, 2> pack1 = load_pack<float, 2>(b2_x + i0 * 90 + i1_first);
        Pack<float, 2> pack2;
        #pragma unroll
        for (int u = 0; u < 2; u++) {
          const int i1 = i1_first + u;
          pack2.at[u] = pack1.at[u];
          v1_part = v1_part + pack1.at[u];
        }
        store_pack<float, 2>(b0_t + i1_first, pack2);
      }
      {
        float parts0[] = {v1_part};
        combine_warp<Sum, 1>(parts0, (float*)(shared + turn * 16));
        __syncthreads();
        combine_slots<Sum, 64, 1>(parts0, (float*)(shared + turn * 16));
        turn = 1 - turn;
        v1 = Sum::of(v1, parts0[0]);
      }
      b1_t[0] = v1;
      if (lane * 2 < 90) {
        const int i1_first = lane * 2;
        Pack<float, 2> pack3;
        #pragma unroll
        for (int u = 0; u < 2; u++) {
          const int i1 = i1_first + u;
          pack3.at[u] = b0_t[-i1 + 89] + b1_t[0];
        }
        store_pack<float, 2>(b3_y + i0 * 90 + i1_first, pack3);
      }
    }
  }
}
