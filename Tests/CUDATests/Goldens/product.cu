// product_0: 2 × 256 threads, 8192 bytes shared
extern "C" __global__ void __launch_bounds__(256, 1) product_0(const float* __restrict__ b0_x, const float* __restrict__
    b1_x, float* __restrict__ b2_y) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  const int tile = blockIdx.x % 2;
  {
    const int i0 = (int)blockIdx.x / 2;
    product_tile<64, 64, 16, 4, 4, false, 256>(
        shared + 0, tile, 70, 33, 45,
        matrix(b0_x, 45, 1),
        matrix(b1_x, 33, 1),
        matrix(b2_y, 33, 1));
  }
}
