// large_0: 5 × 1024 threads, 512 bytes shared, 1200000 bytes of scratch
extern "C" __global__ void __launch_bounds__(1024, 1) large_0(const float* __restrict__ b1_x, float* __restrict__ b2_y,
    unsigned char* __restrict__ scratch) {
  extern __shared__ __align__(16) unsigned char shared[];
  const int lane = threadIdx.x;
  int turn = 0;
  {
    const int i0 = (int)blockIdx.x;
    float* const b0_t = (float*)(scratch + 0 + (long long)blockIdx.x * 240000);
    for (int i1_first = lane * 4; i1_first < 60000; i1_first += 4096) {
      Pack<float, 4> pack0;
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        pack0.at[u] = b1_x[i0] + ((float)((long long)((i1 % 16))));
      }
      store_pack<float, 4>(b0_t + i1_first, pack0);
    }
    float v0 = float_of(0xff800000u);
    __syncthreads();
    float v0_part = float_of(0xff800000u);
    for (int i1_first = lane * 4; i1_first < 60000; i1_first += 4096) {
      #pragma unroll
      for (int u = 0; u < 4; u++) {
        const int i1 = i1_first + u;
        v0_part = maximum(v0_part, b0_t[-i1 + 59999]);
      }
    }
    {
      v0_part = fold<Maximum, 16>(0xffffffffu, v0_part);
      v0_part = fold<Maximum, 8>(0xffffffffu, v0_part);
      v0_part = fold<Maximum, 4>(0xffffffffu, v0_part);
      v0_part = fold<Maximum, 2>(0xffffffffu, v0_part);
      v0_part = fold<Maximum, 1>(0xffffffffu, v0_part);
      put_slots<1, 32>((float*)(shared + turn * 256), v0_part);
      __syncthreads();
      const float all0 = get_slots<Maximum, 1024, 1>((float*)(shared + turn * 256));
      v0 = all0;
      turn = 1 - turn;
    }
    if (lane == 0) b2_y[i0] = v0;
  }
}
