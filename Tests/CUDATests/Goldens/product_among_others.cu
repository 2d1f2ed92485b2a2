// product_among_others_0: 5 × 64 threads, 2752 bytes shared
extern "C" __global__ void __launch_bounds__(64, 1) product_among_others_0(const float* __restrict__ b2_x, float*
    __restrict__ b3_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float* const b0_t = (float*)(shared + 2080);
    bf16* const b1_t = (bf16*)(shared + 2464);
    for (int i1 = lane; i1 < 96; i1 += 64) {
      b0_t[i1] = b2_x[i0 * 96 + i1] * 0.5f;
    }
    __syncthreads();
    for (int tile = 0; tile < 1; tile++)
      product_tile<16, 16, 16, 1, 4, false, 64>(
          shared + 32, tile, 12, 12, 8,
          matrix(b0_t, 8, 1),
          matrix(b0_t, 1, 8),
          matrix(b1_t, 12, 1));
    float v0 = 0.0f;
    __syncthreads();
    float v0_part = 0.0f;
    for (int i2_first = lane * 2; i2_first < 144; i2_first += 128) {
      const Pack<bf16, 2> pack0 = load_pack<bf16, 2>(b1_t + i2_first);
      #pragma unroll
      for (int u = 0; u < 2; u++) {
        const int i2 = i2_first + u;
        v0_part = v0_part + widen(pack0.at[u]);
      }
    }
    {
      v0_part = fold<Sum, 16>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 8>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 4>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 2>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 1>(0xffffffffu, v0_part);
      put_slots<1, 32>((float*)(shared + turn * 16), v0_part);
      __syncthreads();
      const float all0 = get_slots<Sum, 64, 1>((float*)(shared + turn * 16));
      v0 = all0;
      turn = 1 - turn;
    }
    if (lane == 0) b3_y[i0 * 2] = v0;
    for (int tile = 0; tile < 1; tile++)
      product_tile<16, 16, 16, 1, 4, true, 64>(
          shared + 32, tile, 12, 12, 8,
          matrix(b0_t, 8, 1),
          matrix(b0_t, 1, 8),
          matrix(b1_t, 12, 1));
    __syncthreads();
    if (lane == 0) b3_y[i0 * 2 + 1] = widen(b1_t[143]);
  }
}
