// normalized_37_256_0: 37 × 256 threads, 1152 bytes shared
extern "C" __global__ void __launch_bounds__(256) normalized_37_256_0(const float* __restrict__ b0_x, float* __restrict__ b1_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float* const b2_t = (float*)(shared + 128);
    float v0 = 0.0f;
    float v0_part = 0.0f;
    for (int i1 = lane; i1 < 256; i1 += 256) {
      v0_part = v0_part + b0_x[i0 * 256 + i1];
    }
    combine_warp<Sum, 256>(v0_part, (float*)(shared + turn * 64));
    __syncthreads();
    v0 = Sum::of(v0, combine_slots<Sum, 256>((float*)(shared + turn * 64)));
    turn = 1 - turn;
    const float v1 = v0 / 256.0f;
    float v2 = 0.0f;
    float v2_part = 0.0f;
    for (int i1 = lane; i1 < 256; i1 += 256) {
      const float v4 = b0_x[i0 * 256 + i1] - v1;
      b2_t[i1] = v4;
      v2_part = v2_part + (v4 * v4);
    }
    combine_warp<Sum, 256>(v2_part, (float*)(shared + turn * 64));
    __syncthreads();
    v2 = Sum::of(v2, combine_slots<Sum, 256>((float*)(shared + turn * 64)));
    turn = 1 - turn;
    const float v3 = 1.0f / sqrtf(((v2 / 256.0f) + 0.001f));
    for (int i1 = lane; i1 < 256; i1 += 256) {
      b1_y[i0 * 256 + i1] = b2_t[i1] * v3;
    }
  }
}
