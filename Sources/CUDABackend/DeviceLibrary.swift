/// The functions that emitted text calls, in CUDA C++ without headers. Stands once before the functions of a program.
///
/// Integers wrap, so they are added as unsigned numbers. bf16 and f16 are converted as `BFloat16` and `Half` do it: by the
/// GPU's own instructions there, whose NaN has bits of its own, and with integer arithmetic in the emulation.
let deviceLibrary = scalarLibrary + tensorLibrary + productLibrary

private let scalarLibrary = #"""
  #define FUNCTION static __device__ __forceinline__

  struct bf16 { unsigned short bits; };
  struct f16 { unsigned short bits; };

  FUNCTION unsigned bits_of(float a) { return (unsigned)__float_as_int(a); }
  FUNCTION float float_of(unsigned bits) { return __int_as_float((int)bits); }

  FUNCTION float widen(bf16 a) { return float_of((unsigned)a.bits << 16); }
  FUNCTION float widen(float a) { return a; }
  FUNCTION int widen(unsigned char a) { return a; }

  #if defined(__CUDA_ARCH__)
  FUNCTION float widen(f16 a) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(a.bits));
    return result;
  }
  FUNCTION bf16 to_bf16(float a) {
    bf16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(a));
    return result;
  }
  FUNCTION f16 to_f16(float a) {
    f16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(a));
    return result;
  }
  #else
  FUNCTION float widen(f16 a) {
    const unsigned sign = (unsigned)(a.bits & 0x8000) << 16, exponent = a.bits >> 10 & 31, fraction = a.bits & 1023;
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * ((float)fraction * 0x1p-24f);
    if (exponent == 31) return float_of(sign | 0x7f800000u | fraction << 13);
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
  }
  FUNCTION bf16 to_bf16(float a) {
    const unsigned wide = bits_of(a);
    bf16 result;
    result.bits = a != a ? (unsigned short)(wide >> 16 | 0x40)
                         : (unsigned short)((wide + 0x7fffu + (wide >> 16 & 1)) >> 16);
    return result;
  }
  FUNCTION f16 to_f16(float a) {
    const unsigned wide = bits_of(a), sign = wide >> 16 & 0x8000u, magnitude = wide & 0x7fffffffu;
    f16 result;
    if (magnitude > 0x7f800000u) result.bits = (unsigned short)(sign | 0x7e00u);
    else if (magnitude >= 0x47800000u) result.bits = (unsigned short)(sign | 0x7c00u);
    else if (magnitude < 0x38800000u)
      result.bits = (unsigned short)(sign | (bits_of(float_of(magnitude) + 0.5f) - 0x3f000000u));
    else result.bits = (unsigned short)(sign | (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1)) >> 13);
    return result;
  }
  #endif
  FUNCTION void put(float& place, float a) { place = a; }
  FUNCTION void put(bf16& place, float a) { place = to_bf16(a); }
  FUNCTION void put(f16& place, float a) { place = to_f16(a); }

  FUNCTION int add(int a, int b) { return (int)((unsigned)a + (unsigned)b); }
  FUNCTION int subtract(int a, int b) { return (int)((unsigned)a - (unsigned)b); }
  FUNCTION int multiply(int a, int b) { return (int)((unsigned)a * (unsigned)b); }
  FUNCTION long long add(long long a, long long b) {
    return (long long)((unsigned long long)a + (unsigned long long)b);
  }
  FUNCTION long long subtract(long long a, long long b) {
    return (long long)((unsigned long long)a - (unsigned long long)b);
  }
  FUNCTION long long multiply(long long a, long long b) {
    return (long long)((unsigned long long)a * (unsigned long long)b);
  }
  FUNCTION int absolute(int a) { return a < 0 ? subtract(0, a) : a; }
  FUNCTION long long absolute(long long a) { return a < 0 ? subtract(0LL, a) : a; }

  template <class T> FUNCTION T floor_quotient(T a, T b) {
    if (b == 0) return 0;
    if (b == -1) return subtract((T)0, a);
    const T quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
  }
  template <class T> FUNCTION T floor_remainder(T a, T b) {
    if (b == 0 || b == -1) return 0;
    const T rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
  FUNCTION float floor_remainder(float a, float b) { return a - b * floorf(a / b); }

  FUNCTION int shift_left(int a, int by) { return by < 0 || by > 31 ? 0 : (int)((unsigned)a << by); }
  FUNCTION int shift_right(int a, int by) { return by < 0 || by > 31 ? 0 : (int)((unsigned)a >> by); }
  FUNCTION long long shift_left(long long a, long long by) {
    return by < 0 || by > 63 ? 0 : (long long)((unsigned long long)a << by);
  }
  FUNCTION long long shift_right(long long a, long long by) {
    return by < 0 || by > 63 ? 0 : (long long)((unsigned long long)a >> by);
  }

  FUNCTION int to_int(float a) {
    if (a != a) return 0;
    return a >= 2147483648.0f ? 2147483647 : a < -2147483648.0f ? -2147483647 - 1 : (int)a;
  }
  FUNCTION long long to_long(float a) {
    if (a != a) return 0;
    if (a >= 9223372036854775808.0f) return 9223372036854775807LL;
    return a < -9223372036854775808.0f ? -9223372036854775807LL - 1 : (long long)a;
  }
  /// Of large angles these are hundreds of instructions, which stand once.
  static __device__ __noinline__ float sine(float a) { return sinf(a); }
  static __device__ __noinline__ float cosine(float a) { return cosf(a); }
  FUNCTION float sigmoid(float a) { return 1.0f / (1.0f + expf(-a)); }

  template <class T> FUNCTION T maximum(T a, T b) { return a > b || a != a ? a : b; }
  template <class T> FUNCTION T minimum(T a, T b) { return a < b || a != a ? a : b; }
  #if defined(__CUDA_ARCH__)
  FUNCTION float maximum(float a, float b) {
    float result;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
  }
  FUNCTION float minimum(float a, float b) {
    float result;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
  }
  #endif

  struct Sum {
    static __device__ __forceinline__ float of(float a, float b) { return a + b; }
    static __device__ __forceinline__ int of(int a, int b) { return add(a, b); }
    static __device__ __forceinline__ long long of(long long a, long long b) { return add(a, b); }
    static __device__ __forceinline__ bool of(bool a, bool b) { return a | b; }
  };
  struct Maximum { template <class T> static __device__ __forceinline__ T of(T a, T b) { return maximum(a, b); } };
  struct Minimum { template <class T> static __device__ __forceinline__ T of(T a, T b) { return minimum(a, b); } };
  struct Any { template <class T> static __device__ __forceinline__ T of(T a, T b) { return a | b; } };
  struct All { template <class T> static __device__ __forceinline__ T of(T a, T b) { return a & b; } };

  template <class T> FUNCTION T shuffle_xor(unsigned mask, T a, int by) { return __shfl_xor_sync(mask, a, by); }
  template <> __device__ __forceinline__ bool shuffle_xor(unsigned mask, bool a, int by) {
    return __shfl_xor_sync(mask, (int)a, by) != 0;
  }
  template <class T> FUNCTION T shuffle_from(unsigned mask, T a, int lane) { return __shfl_sync(mask, a, lane); }
  template <> __device__ __forceinline__ bool shuffle_from(unsigned mask, bool a, int lane) {
    return __shfl_sync(mask, (int)a, lane) != 0;
  }

  /// One of two values combined with the same one of the lane `by` lanes away: lower lanes keep the first, upper ones the
  /// second, each gives the other away.
  template <class How, int by, class T> FUNCTION T halve(unsigned mask, T a, T b) {
    const bool isUpper = (threadIdx.x & by) != 0;
    return How::of(isUpper ? b : a, shuffle_xor(mask, isUpper ? a : b, by));
  }
  /// A value combined with that of the lane `by` lanes away.
  template <class How, int by, class T> FUNCTION T fold(unsigned mask, T a) {
    return How::of(a, shuffle_xor(mask, a, by));
  }
  /// Leaves `count` values of a warp, each in the lanes that `halve` left it in, in the slots of the warp.
  template <int count, int each, class T> FUNCTION void put_slots(T* slots, T own) {
    const int lane = threadIdx.x % 32;
    if (lane % each == 0 && lane / each < count) slots[threadIdx.x / 32 * count + lane / each] = own;
  }
  /// One of the values in the slots of all warps, combined one after the other: that with the number of the lane.
  template <class How, int threads, int count, class T> FUNCTION T get_slots(const T* slots) {
    static_assert(threads % 32 == 0, "a block that combines is made of whole warps");
    const int lane = threadIdx.x % 32, own = lane < count ? lane : count - 1;
    T all = slots[own];
    #pragma unroll 8
    for (int warp = 1; warp < threads / 32; warp++) all = How::of(all, slots[warp * count + own]);
    return all;
  }

  """#
