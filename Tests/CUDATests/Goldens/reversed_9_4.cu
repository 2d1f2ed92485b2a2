// reversed_9_4_0: 1 × 64 threads, 256 bytes shared
extern "C" __global__ void __launch_bounds__(64) reversed_9_4_0(const float* __restrict__ b0_x, float* __restrict__ b1_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x % 4;
  const unsigned mask = 15u << threadIdx.x % 32 / 4 * 4;
  const int i0 = (int)blockIdx.x * 16 + (int)threadIdx.x / 4;
  if (i0 < 9) {
    float* const b2_t = (float*)(shared + 0 + (int)threadIdx.x / 4 * 16);
    for (int i1 = lane; i1 < 4; i1 += 4) {
      b2_t[i1] = b0_x[i0 * 4 + i1];
    }
    __syncwarp(mask);
    for (int i1 = lane; i1 < 4; i1 += 4) {
      b1_y[i0 * 4 + i1] = b2_t[-i1 + 3] * b2_t[i1];
    }
  }
}
