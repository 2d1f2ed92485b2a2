// normalized_37_256_0: 37 × 256 threads, 128 bytes shared
extern "C" __global__ void __launch_bounds__(256, 1) normalized_37_256_0(const float* __restrict__ b1_x, float*
    __restrict__ b2_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float b0_t[1];
    float v0 = 0.0f;
    float v0_part = 0.0f;
    if (lane < 256) {
      const int i1 = lane;
      v0_part = v0_part + b1_x[i0 * 256 + i1];
    }
    {
      v0_part = fold<Sum, 16>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 8>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 4>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 2>(0xffffffffu, v0_part);
      v0_part = fold<Sum, 1>(0xffffffffu, v0_part);
      put_slots<1, 32>((float*)(shared + turn * 64), v0_part);
      __syncthreads();
      const float all0 = get_slots<Sum, 256, 1>((float*)(shared + turn * 64));
      v0 = all0;
      turn = 1 - turn;
    }
    const float v1 = v0 / 256.0f;
    float v2 = 0.0f;
    float v2_part = 0.0f;
    #pragma unroll
    for (int turn_i1 = 0; turn_i1 < 1; turn_i1++) {
      const int i1 = lane + turn_i1 * 256;
      const float v3 = b1_x[i0 * 256 + i1] - v1;
      b0_t[turn_i1] = v3;
      v2_part = fmaf(v3, v3, v2_part);
    }
    {
      v2_part = fold<Sum, 16>(0xffffffffu, v2_part);
      v2_part = fold<Sum, 8>(0xffffffffu, v2_part);
      v2_part = fold<Sum, 4>(0xffffffffu, v2_part);
      v2_part = fold<Sum, 2>(0xffffffffu, v2_part);
      v2_part = fold<Sum, 1>(0xffffffffu, v2_part);
      put_slots<1, 32>((float*)(shared + turn * 64), v2_part);
      __syncthreads();
      const float all0 = get_slots<Sum, 256, 1>((float*)(shared + turn * 64));
      v2 = all0;
      turn = 1 - turn;
    }
    const float v4 = rsqrtf(((v2 / 256.0f) + 0.001f));
    #pragma unroll
    for (int turn_i1 = 0; turn_i1 < 1; turn_i1++) {
      const int i1 = lane + turn_i1 * 256;
      b2_y[i0 * 256 + i1] = b0_t[turn_i1] * v4;
    }
  }
}
