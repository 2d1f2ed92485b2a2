// copied_f32_0: 1 × 128 threads, 0 bytes shared
extern "C" __global__ void __launch_bounds__(128, 8) copied_f32_0(const float* b0_x, float* b1_y) {
  const int i0 = (int)blockIdx.x * 128 + (int)threadIdx.x;
  if (i0 < 100) {
    b1_y[i0] = b0_x[i0];
  }
}
