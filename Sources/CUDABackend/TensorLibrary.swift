/// What `tensor_tile` is made of: copies past the registers, tensor cores, and how the operands' fragments lie in a warp.
/// The emulation brings its own copies and tensor cores.
///
/// Lane 4g + t of a warp has of the 16 × 8 results those of rows g and g + 8 in columns 2t and 2t + 1; of the left
/// operand rows g and g + 8, of the right one column g, and of both the terms 2t, 2t + 1, 2t + 8, 2t + 9 (f32: t and
/// t + 4).
let tensorLibrary = #"""

  /// Neighbouring elements that are read or written at once.
  template <class T, int width> struct alignas(width * sizeof(T) < 16 ? width * sizeof(T) : 16) Pack { T at[width]; };
  #ifndef MILLRACE_EMULATION
  template <class T, int width> FUNCTION Pack<T, width> load_pack(const T* at) { return *(const Pack<T, width>*)at; }
  template <class T, int width> FUNCTION void store_pack(T* at, Pack<T, width> pack) { *(Pack<T, width>*)at = pack; }

  FUNCTION unsigned shared_address(const void* at) {
    unsigned long long address;
    asm("cvta.to.shared.u64 %0, %1;" : "=l"(address) : "l"(at));
    return (unsigned)address;
  }
  /// Copies `bytes` bytes to shared memory, zeros from the `valid`-th on; they are there after `wait_for_copies`.
  template <int bytes> FUNCTION void copy_async(void* to, const void* from, int valid) {
    if constexpr (bytes == 16)
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                   ::"r"(shared_address(to)), "l"(from), "r"(valid) : "memory");
    else
      asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                   ::"r"(shared_address(to)), "l"(from), "n"(bytes), "r"(valid) : "memory");
  }
  FUNCTION void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
  /// Waits for all copies of this thread but those of the last `pending` commitments.
  template <int pending> FUNCTION void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
  }

  /// Four matrices of 8 × 8 elements of 16 bits; lane 8i + r says where row r of matrix i stands.
  template <bool transposed> FUNCTION void load_matrices(unsigned (&to)[4], const void* row) {
    if constexpr (transposed)
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
    else
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
  }
  FUNCTION unsigned to_tf32(float a) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(a));
    return bits;
  }
  #define MULTIPLY_ADD(kind)                                                                                       \
    asm volatile("mma.sync.aligned." kind " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"       \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])                                                  \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
  FUNCTION void tensor_multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], bf16) {
    MULTIPLY_ADD("m16n8k16.row.col.f32.bf16.bf16.f32");
  }
  FUNCTION void tensor_multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], f16) {
    MULTIPLY_ADD("m16n8k16.row.col.f32.f16.f16.f32");
  }
  FUNCTION void tensor_multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], float) {
    MULTIPLY_ADD("m16n8k8.row.col.f32.tf32.tf32.f32");
  }
  #endif

  /// Copies neighbouring elements to shared memory; they are there after `wait_for_copies`.
  template <class T, int width> FUNCTION void copy_pack(unsigned char* to, const T* from) {
    constexpr int bytes = width * sizeof(T), part = bytes < 16 ? bytes : 16;
    #pragma unroll
    for (int at = 0; at < bytes; at += part) copy_async<part>(to + at, (const unsigned char*)from + at, part);
  }

  template <class T> struct WithoutConst { typedef T type; };
  template <class T> struct WithoutConst<const T> { typedef T type; };

  /// 16 rows of the left operand and 8 columns of the right one, as the lanes of a warp have them.
  template <class T> struct FragmentA { unsigned bits[4]; };
  template <class T> struct FragmentB { unsigned bits[2]; };

  template <class T> FUNCTION void multiply_add(float (&sums)[4], const FragmentA<T>& a, const FragmentB<T>& b) {
    tensor_multiply(sums, a.bits, b.bits, T());
  }

  /// The fragment of rows `row`… and terms `term`… of a piece.
  template <bool alongDepth, class T>
  FUNCTION void load_fragment(FragmentA<T>& to, const T* piece, int pitch, int row, int term, int lane) {
    const int r = lane % 8, matrix = lane / 8;
    if constexpr (alongDepth)
      load_matrices<false>(to.bits, piece + (row + r + matrix % 2 * 8) * pitch + term + matrix / 2 * 8);
    else
      load_matrices<true>(to.bits, piece + (term + r + matrix / 2 * 8) * pitch + row + matrix % 2 * 8);
  }
  /// The two fragments of columns `column`… and `column + 8`….
  template <bool alongDepth, class T>
  FUNCTION void load_fragments(
      FragmentB<T>& first, FragmentB<T>& second, const T* piece, int pitch, int column, int term, int lane) {
    const int r = lane % 8, matrix = lane / 8;
    unsigned bits[4];
    if constexpr (alongDepth)
      load_matrices<false>(bits, piece + (column + r + matrix / 2 * 8) * pitch + term + matrix % 2 * 8);
    else
      load_matrices<true>(bits, piece + (term + r + matrix % 2 * 8) * pitch + column + matrix / 2 * 8);
    first.bits[0] = bits[0];
    first.bits[1] = bits[1];
    second.bits[0] = bits[2];
    second.bits[1] = bits[3];
  }
  template <bool alongDepth>
  FUNCTION void load_fragment(FragmentA<float>& to, const float* piece, int pitch, int row, int term, int lane) {
    const int alongRows = alongDepth ? pitch : 1, alongTerms = alongDepth ? 1 : pitch;
    const float* const at = piece + (row + lane / 4) * alongRows + (term + lane % 4) * alongTerms;
    to.bits[0] = to_tf32(at[0]);
    to.bits[1] = to_tf32(at[8 * alongRows]);
    to.bits[2] = to_tf32(at[4 * alongTerms]);
    to.bits[3] = to_tf32(at[8 * alongRows + 4 * alongTerms]);
  }
  template <bool alongDepth>
  FUNCTION void load_fragments(
      FragmentB<float>& first, FragmentB<float>& second, const float* piece, int pitch, int column, int term,
      int lane) {
    const int alongColumns = alongDepth ? pitch : 1, alongTerms = alongDepth ? 1 : pitch;
    const float* const at = piece + (column + lane / 4) * alongColumns + (term + lane % 4) * alongTerms;
    first.bits[0] = to_tf32(at[0]);
    first.bits[1] = to_tf32(at[4 * alongTerms]);
    second.bits[0] = to_tf32(at[8 * alongColumns]);
    second.bits[1] = to_tf32(at[8 * alongColumns + 4 * alongTerms]);
  }

  /// Stores two neighbouring results of a row, or the one that is there.
  template <bool pairs, bool adds, class C>
  FUNCTION void put_two(C* place, long long step, float first, float second, bool areTwo) {
    if constexpr (pairs) {
      Pack<C, 2> pack;
      if (adds) {
        pack = load_pack<C, 2>(place);
        first += widen(pack.at[0]);
        second += widen(pack.at[1]);
      }
      put(pack.at[0], first);
      put(pack.at[1], second);
      store_pack<C, 2>(place, pack);
    } else {
      put(place[0], adds ? widen(place[0]) + first : first);
      if (areTwo) put(place[step], adds ? widen(place[step]) + second : second);
    }
  }

  """#
