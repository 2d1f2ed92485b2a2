// prefix_sums_6_50_0: 6 × 64 threads, 32 bytes shared
extern "C" __global__ void __launch_bounds__(64) prefix_sums_6_50_0(const float* __restrict__ b0_x, float* __restrict__ b1_y, float* __restrict__ b2_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float v0 = 0.0f;
    for (int i1 = 0; i1 < 50; i1++) {
      v0 = v0 + b0_x[i0 * 50 + i1];
      if (lane == 0) b1_y[i0 * 50 + i1] = v0;
    }
    float v1 = 0.0f;
    for (int i2 = 0; i2 < 3; i2++) {
      float v1_part = 0.0f;
      for (int i1 = lane; i1 < 50; i1 += 64) {
        v1_part = v1_part + b0_x[i0 * 50 + i1];
      }
      combine_warp<Sum, 64>(v1_part, (float*)(shared + turn * 16));
      __syncthreads();
      v1 = Sum::of(v1, combine_slots<Sum, 64>((float*)(shared + turn * 16)));
      turn = 1 - turn;
      if (lane == 0) b2_y[i0 * 3 + i2] = v1;
    }
  }
}
