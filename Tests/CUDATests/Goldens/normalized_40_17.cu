// normalized_40_17_0: 10 × 128 threads, 0 bytes shared
extern "C" __global__ void __launch_bounds__(128, 1) normalized_40_17_0(const float* __restrict__ b1_x, float*
    __restrict__ b2_y) {
  const int lane = threadIdx.x % 32;
  const unsigned mask = 0xffffffffu;
  {
    const int i0 = (int)blockIdx.x * 4 + (int)threadIdx.x / 32;
    float b0_t[1];
    float v0 = 0.0f;
    float v0_part = 0.0f;
    if (lane < 17) {
      const int i1 = lane;
      v0_part = v0_part + b1_x[i0 * 17 + i1];
    }
    {
      v0_part = fold<Sum, 16>(mask, v0_part);
      v0_part = fold<Sum, 8>(mask, v0_part);
      v0_part = fold<Sum, 4>(mask, v0_part);
      v0_part = fold<Sum, 2>(mask, v0_part);
      v0_part = fold<Sum, 1>(mask, v0_part);
      const int first = threadIdx.x % 32 / 32 * 32;
      v0 = v0_part;
    }
    const float v1 = v0 / 17.0f;
    float v2 = 0.0f;
    float v2_part = 0.0f;
    #pragma unroll
    for (int turn_i1 = 0; turn_i1 < 1; turn_i1++) {
      const int i1 = lane + turn_i1 * 32;
      if (i1 >= 17) continue;
      const float v3 = b1_x[i0 * 17 + i1] - v1;
      b0_t[turn_i1] = v3;
      v2_part = fmaf(v3, v3, v2_part);
    }
    {
      v2_part = fold<Sum, 16>(mask, v2_part);
      v2_part = fold<Sum, 8>(mask, v2_part);
      v2_part = fold<Sum, 4>(mask, v2_part);
      v2_part = fold<Sum, 2>(mask, v2_part);
      v2_part = fold<Sum, 1>(mask, v2_part);
      const int first = threadIdx.x % 32 / 32 * 32;
      v2 = v2_part;
    }
    const float v4 = rsqrtf(((v2 / 17.0f) + 0.001f));
    #pragma unroll
    for (int turn_i1 = 0; turn_i1 < 1; turn_i1++) {
      const int i1 = lane + turn_i1 * 32;
      if (i1 >= 17) continue;
      b2_y[i0 * 17 + i1] = b0_t[turn_i1] * v4;
    }
  }
}
