// normalized_37_256_0: 37 × 64 threads, 32 bytes shared
extern "C" __global__ void __launch_bounds__(64, 1) normalized_37_256_0(const float* __restrict__ b1_x, float*
    __restrict__ b2_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float b0_t[4];
    float v0 = 0.0f;
    float v0_part = 0.0f;
    if (lane * 4 < 256) {
      const int i1_first = lane * 4;
      const Pack<float, 4> pack0 = load_pack<float, 4>(b1_x + i0 * 256 + i1_first);
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        v0_part = v0_part + pack0.at[u];
      }
    }
    {
      float parts0[] = {v0_part};
      combine_warp<Sum, 1>(parts0, (float*)(shared + turn * 16));
      __syncthreads();
      combine_slots<Sum, 64, 1>(parts0, (float*)(shared + turn * 16));
      turn = 1 - turn;
      v0 = Sum::of(v0, parts0[0]);
    }
    const float v1 = v0 / 256.0f;
    float v2 = 0.0f;
    float v2_part = 0.0f;
    #pragma unroll
    for (int turn_i1 = 0; turn_i1 < 1; turn_i1++) {
      const int i1_first = lane * 4 + turn_i1 * 256;
      const Pack<float, 4> pack1 = load_pack<float, 4>(b1_x + i0 * 256 + i1_first);
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        const float v3 = pack1.at[u] - v1;
        b0_t[turn_i1 * 4 + u] = v3;
        v2_part = fmaf(v3, v3, v2_part);
      }
    }
    {
      float parts0[] = {v2_part};
      combine_warp<Sum, 1>(parts0, (float*)(shared + turn * 16));
      __syncthreads();
      combine_slots<Sum, 64, 1>(parts0, (float*)(shared + turn * 16));
      turn = 1 - turn;
      v2 = Sum::of(v2, parts0[0]);
    }
    const float v4 = 1.0f / sqrtf(((v2 / 256.0f) + 0.001f));
    #pragma unroll
    for (int turn_i1 = 0; turn_i1 < 1; turn_i1++) {
      const int i1_first = lane * 4 + turn_i1 * 256;
      Pack<float, 4> pack2;
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        pack2.at[u] = b0_t[turn_i1 * 4 + u] * v4;
      }
      store_pack<float, 4>(b2_y + i0 * 256 + i1_first, pack2);
    }
  }
}
