// conditional_vector_0: 23 × 96 threads, 416 bytes shared
extern "C" __global__ void __launch_bounds__(96, 1) conditional_vector_0(const float* __restrict__ b2_x, float*
    __restrict__ b3_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float* const b0_t = (float*)(shared + 48);
    float b1_t[1];
    const float v0 = b2_x[i0 * 90];
    if (lane < 90) {
      const int i1 = lane;
      b3_y[i0 * 90 + i1] = -1.0f;
    }
    b1_t[0] = 7.0f;
    if (v0 > 0.0f) {
      float v1 = 0.0f;
      float v1_part = 0.0f;
      if (lane < 90) {
        const int i1 = lane;
        b0_t[i1] = b2_x[i0 * 90 + i1];
        v1_part = v1_part + b2_x[i0 * 90 + i1];
      }
      {
        v1_part = fold<Sum, 16>(0xffffffffu, v1_part);
        v1_part = fold<Sum, 8>(0xffffffffu, v1_part);
        v1_part = fold<Sum, 4>(0xffffffffu, v1_part);
        v1_part = fold<Sum, 2>(0xffffffffu, v1_part);
        v1_part = fold<Sum, 1>(0xffffffffu, v1_part);
        put_slots<1, 32>((float*)(shared + turn * 24), v1_part);
        __syncthreads();
        const float all0 = get_slots<Sum, 96, 1>((float*)(shared + turn * 24));
        v1 = all0;
        turn = 1 - turn;
      }
      b1_t[0] = v1;
      if (lane < 90) {
        const int i1 = lane;
        b3_y[i0 * 90 + i1] = b0_t[-i1 + 89] + b1_t[0];
      }
    }
  }
}
