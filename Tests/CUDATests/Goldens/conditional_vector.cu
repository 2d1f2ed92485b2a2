// conditional_vector_0: 23 × 96 threads, 416 bytes shared
extern "C" __global__ void __launch_bounds__(96) conditional_vector_0(const float* __restrict__ b0_x, float* __restrict__ b1_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float* const b2_t = (float*)(shared + 48);
    float b3_t[1];
    const float v0 = b0_x[i0 * 90];
    for (int i1 = lane; i1 < 90; i1 += 96) {
      b1_y[i0 * 90 + i1] = -1.0f;
    }
    b3_t[0] = 7.0f;
    if (v0 > 0.0f) {
      float v1 = 0.0f;
      float v1_part = 0.0f;
      for (int i1 = lane; i1 < 90; i1 += 96) {
        b2_t[i1] = b0_x[i0 * 90 + i1];
        v1_part = v1_part + b0_x[i0 * 90 + i1];
      }
      combine_warp<Sum, 96>(v1_part, (float*)(shared + turn * 24));
      __syncthreads();
      v1 = Sum::of(v1, combine_slots<Sum, 96>((float*)(shared + turn * 24)));
      turn = 1 - turn;
      b3_t[0] = v1;
      for (int i1 = lane; i1 < 90; i1 += 96) {
        b1_y[i0 * 90 + i1] = b2_t[-i1 + 89] + b3_t[0];
      }
    }
  }
}
