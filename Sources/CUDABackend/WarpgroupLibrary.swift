/// Matrix products by groups of four warps (`wgmma`), which only sm_90 has. Stands behind the device library where a
/// program asks for it.
///
/// Both operands are read from shared memory, in lines of 128 bytes: 64 terms of a row or column, or 64 rows or columns of
/// a term. Eight lines are 1024 bytes, at a multiple of as many, and the 16-byte parts of line `l` stand in the order
/// `part ^ l % 8`, so that neither what is copied nor what is multiplied meets in a bank. Source: PTX ISA, asynchronous
/// warpgroup level matrix instructions, canonical layouts with 128-byte swizzling.
let warpgroupLibrary = """

  #ifndef MILLRACE_EMULATION
  /// What was copied to shared memory becomes visible to the tensor cores, once all threads have done this and met.
  FUNCTION void show_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
  FUNCTION void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
  FUNCTION void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
  /// Waits for all products of these four warps but those of the last `pending` commitments.
  template <int pending> FUNCTION void wait_for_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
  }
  \(multiplications.joined(separator: "\n  "))
  #endif
  \(warpgroupTile)
  """

/// Thread `32w + 4g + t` of a group gets rows `16w + g` and `16w + g + 8` in columns `8j + 2t` and `8j + 2t + 1`.
private let multiplications = [64, 128, 256].flatMap { columns in
  ["bf16", "f16"].map { multiplication(columns: columns, of: $0) }
}

/// Sixteen terms of 64 rows and some columns, added to the sums; they are there after `wait_for_products`.
private func multiplication(columns: Int, of type: String) -> String {
  let count = columns / 2
  let sums = (0..<count).map { "%\($0)" }.joined(separator: ", ")
  let operands = (0..<count).map { "\"+f\"(d[\($0)])" }.joined(separator: ", ")
  return """
    template <bool turnedA, bool turnedB>
    FUNCTION void start_product(float (&d)[\(count)], unsigned long long a, unsigned long long b, \(type)) {
      asm volatile("wgmma.mma_async.sync.aligned.m64n\(columns)k16.f32.\(type).\(type) {\(sums)}, "
                   "%\(count), %\(count + 1), 1, 1, 1, %\(count + 2), %\(count + 3);"
                   : \(operands) : "l"(a), "l"(b), "n"((int)turnedA), "n"((int)turnedB));
    }
    """
}

private let warpgroupTile = #"""

  /// Tells of 64 × 16 or 16 × n elements in shared memory; `panel` bytes from 64 rows or columns to the next, where lines
  /// are those of a term.
  FUNCTION unsigned long long matrix_descriptor(const void* at, int panel) {
    const unsigned long long swizzled = 1ull << 62, eightLines = 1024ull >> 4 << 32;
    return swizzled | eightLines | (unsigned long long)(panel >> 4) << 16 | (shared_address(at) & 0x3ffff) >> 4;
  }

  /// Copies lines of 64 elements, `panels` of them side by side in memory, to panels one after the other in shared memory;
  /// zeros where the matrix has ended.
  template <int lines, int panels, int threads, class T>
  FUNCTION void copy_panels(unsigned char* piece, const T* from, long long stride, int linesLeft, int lengthLeft) {
    constexpr int parts = 8 * panels, atOnce = threads / parts;
    static_assert(threads % parts == 0 && atOnce % 8 == 0 && lines % atOnce == 0, "each thread has one part of its lines");
    const int line = threadIdx.x / parts, part = threadIdx.x % parts;
    int length = lengthLeft - part * 8;
    length = length < 0 ? 0 : length > 8 ? 8 : length;
    unsigned char* const to = piece + part / 8 * (lines * 128) + line * 128 + (part % 8 ^ line % 8) * 16;
    const T* const source = from + line * stride + part * 8;
    #pragma unroll
    for (int turn = 0; turn < lines; turn += atOnce) {
      const int valid = line + turn < linesLeft ? length : 0;
      copy_async<16>(to + turn * 128, valid > 0 ? source + turn * stride : from, valid * (int)sizeof(T));
    }
  }

  /// One tile of a product, by the groups of four warps of a block: 64 rows and `unitColumns` columns each. While a piece is
  /// multiplied, the one before it may still be, and `pieces - 2` are on their way.
  template <int rows, int columns, int unitColumns, int pieces, bool alongA, bool alongB, bool pairs, bool adds, class A,
            class B, class C>
  static __device__ void warpgroup_tile(
      unsigned char* memory, int tile, int m, int n, int k, Matrix<A> a, Matrix<B> b, Matrix<C> c) {
    static_assert(pieces > 2, "a piece is multiplied while another one is, and one more comes");
    typedef typename WithoutConst<A>::type Element;
    constexpr int depth = 64, sizeA = rows * 128, sizeB = columns * 128, panel = depth * 128;
    constexpr int across = columns / unitColumns, groups = rows / 64 * across, threads = groups * 128;
    const int tilesAcross = (n + columns - 1) / columns;
    const int firstRow = tile / tilesAcross * rows, firstColumn = tile % tilesAcross * columns;
    if (firstRow >= m) return;
    const int group = threadIdx.x / 128;
    const bool works = group < groups;
    const int groupRow = group / across * 64, groupColumn = group % across * unitColumns;
    const Element* const startA = a.at + firstRow * a.row;
    const Element* const startB = b.at + firstColumn * b.column;
    const int steps = (k + depth - 1) / depth;

    auto copy = [&](int step) {
      const int first = step * depth;
      unsigned char* const toA = memory + step % pieces * (sizeA + sizeB);
      unsigned char* const toB = toA + sizeA;
      if constexpr (alongA)
        copy_panels<rows, 1, threads>(toA, startA + first, a.row, m - firstRow, k - first);
      else
        copy_panels<depth, rows / 64, threads>(toA, startA + first * a.column, a.column, k - first, m - firstRow);
      if constexpr (alongB)
        copy_panels<columns, 1, threads>(toB, startB + first, b.column, n - firstColumn, k - first);
      else
        copy_panels<depth, columns / 64, threads>(toB, startB + first * b.row, b.row, k - first, n - firstColumn);
    };

    float sums[unitColumns / 2];
    for (int e = 0; e < unitColumns / 2; e++) sums[e] = 0.0f;
    for (int step = 0; step < pieces - 2; step++) {
      if (works && step < steps) copy(step);
      commit_copies();
    }
    for (int step = 0; step < steps; step++) {
      // The piece to be multiplied has come, and everybody is done with the last but one, which the next comes over.
      wait_for_copies<pieces - 3>();
      show_copies();
      __syncthreads();
      if (works) {
        const unsigned char* const pieceA = memory + step % pieces * (sizeA + sizeB) + groupRow * 128;
        const unsigned char* const pieceB = memory + step % pieces * (sizeA + sizeB) + sizeA + groupColumn * 128;
        begin_products();
        #pragma unroll
        for (int l = 0; l < depth; l += 16)
          start_product<!alongA, !alongB>(
              sums, matrix_descriptor(pieceA + l * (alongA ? 2 : 128), panel),
              matrix_descriptor(pieceB + l * (alongB ? 2 : 128), panel), Element());
        commit_products();
        if (step + pieces - 2 < steps) copy(step + pieces - 2);
      }
      commit_copies();
      if (works) wait_for_products<1>();
    }
    if (works) wait_for_products<0>();
    wait_for_copies<0>();
    __syncthreads();
    if (!works) return;
    const int row = firstRow + groupRow + threadIdx.x / 32 % 4 * 16 + threadIdx.x % 32 / 4;
    const int column = firstColumn + groupColumn + threadIdx.x % 4 * 2;
    #pragma unroll
    for (int j = 0; j < unitColumns / 8; j++)
      #pragma unroll
      for (int half = 0; half < 2; half++) {
        const int i = row + half * 8, first = column + j * 8;
        if (i < m && first < n) {
          const float* const two = sums + j * 4 + half * 2;
          put_two<pairs, adds>(c.at + i * c.row + first * c.column, c.column, two[0], two[1], first + 1 < n);
        }
      }
  }

  """#
