/// Matrix products in CUDA C++, tile by tile.
let productLibrary = #"""

  /// A matrix in memory: where it starts and how far apart its rows and columns are.
  template <class T> struct Matrix { T* at; long long row, column; };
  template <class T> FUNCTION Matrix<T> matrix(T* at, long long row, long long column) {
    Matrix<T> result = {at, row, column};
    return result;
  }

  /// Copies a piece of an operand, `length` rows (or columns) of `depth` terms, to shared memory, term by term; zeros where
  /// the matrix has ended. Neighbouring threads read neighbouring elements; all are asked for before the first is stored.
  template <int length, int depth, int threads, class T>
  FUNCTION void copy_turned(
      float* piece, const T* from, long long stride, long long depthStride, int lengthLeft, int depthLeft) {
    static_assert(threads >= length && threads >= depth, "threads that copy are at the same column every time");
    const bool alongDepth = depthStride == 1;
    constexpr int linesOfDepth = threads / depth, linesOfLength = threads / length;
    constexpr int turnsAlong = (length + linesOfDepth - 1) / linesOfDepth;
    constexpr int turnsAcross = (depth + linesOfLength - 1) / linesOfLength;
    constexpr int turns = turnsAlong > turnsAcross ? turnsAlong : turnsAcross;
    const int own = threadIdx.x;
    if (own >= (alongDepth ? linesOfDepth * depth : linesOfLength * length)) return;
    const int i = alongDepth ? own / depth : own % length, l = alongDepth ? own % depth : own / length;
    const int nextI = alongDepth ? linesOfDepth : 0, nextL = alongDepth ? 0 : linesOfLength;
    const T* const start = from + i * stride + l * depthStride;
    const long long step = nextI * stride + nextL * depthStride;
    float values[turns];
    #pragma unroll
    for (int t = 0; t < turns; t++) {
      const bool isInside = i + t * nextI < lengthLeft && l + t * nextL < depthLeft;
      values[t] = isInside ? widen(start[t * step]) : 0.0f;
    }
    #pragma unroll
    for (int t = 0; t < turns; t++)
      if (i + t * nextI < length && l + t * nextL < depth) piece[(l + t * nextL) * length + i + t * nextI] = values[t];
  }

  /// One tile of a product, by all threads of a block, each multiplying by itself.
  template <int rows, int columns, int depth, int threadRows, int threadColumns, bool adds, int threads,
            class A, class B, class C>
  static __device__ void product_tile(
      unsigned char* memory, int tile, int m, int n, int k, Matrix<A> a, Matrix<B> b, Matrix<C> c) {
    constexpr int across = columns / threadColumns, down = rows / threadRows;
    const int tilesAcross = (n + columns - 1) / columns;
    const int firstRow = tile / tilesAcross * rows, firstColumn = tile % tilesAcross * columns;
    if (firstRow >= m) return;
    float* const pieceA = (float*)memory;
    float* const pieceB = pieceA + rows * depth;
    const int x = threadIdx.x % across * threadColumns, y = threadIdx.x / across * threadRows;
    const bool multiplies = threadIdx.x < across * down;
    float sums[threadRows][threadColumns];
    for (int r = 0; r < threadRows; r++)
      for (int s = 0; s < threadColumns; s++) sums[r][s] = 0.0f;
    const A* const startA = a.at + firstRow * a.row;
    const B* const startB = b.at + firstColumn * b.column;
    #pragma unroll 1
    for (int first = 0; first < k; first += depth) {
      copy_turned<rows, depth, threads>(pieceA, startA + first * a.column, a.row, a.column, m - firstRow, k - first);
      copy_turned<columns, depth, threads>(pieceB, startB + first * b.row, b.column, b.row, n - firstColumn, k - first);
      __syncthreads();
      if (multiplies) {
        #pragma unroll 2
        for (int l = 0; l < depth; l++) {
          const Pack<float, threadRows> left = load_pack<float, threadRows>(pieceA + l * rows + y);
          const Pack<float, threadColumns> right = load_pack<float, threadColumns>(pieceB + l * columns + x);
          for (int r = 0; r < threadRows; r++)
            for (int s = 0; s < threadColumns; s++) sums[r][s] = fmaf(left.at[r], right.at[s], sums[r][s]);
        }
      }
      __syncthreads();
    }
    if (!multiplies) return;
    for (int r = 0; r < threadRows; r++)
      for (int s = 0; s < threadColumns; s++) {
        const int i = firstRow + y + r, j = firstColumn + x + s;
        if (i >= m || j >= n) continue;
        auto& place = c.at[i * c.row + j * c.column];
        put(place, adds ? widen(place) + sums[r][s] : sums[r][s]);
      }
  }

  /// How an operand's piece is copied: whether its lines run along the sums, how many elements at once, and whether it
  /// comes from shared memory.
  template <bool isAlongDepth, int width, bool isOnChip> struct Piece {
    static constexpr bool alongDepth = isAlongDepth;
    static constexpr int at_once = width;
    static constexpr bool onChip = isOnChip;
  };
  /// Elements from one line of a piece to the next: what the lanes of a warp read at once stands in different banks.
  template <class T, class P> FUNCTION constexpr int pitch(int length) {
    return length + (sizeof(T) == 2 ? 8 : P::alongDepth ? 4 : 8);
  }

  /// Copies `lines` lines of `length` elements to shared memory; zeros where the matrix has ended.
  template <class P, int lines, int length, int threads, class T>
  FUNCTION void copy_piece(T* piece, const T* from, long long stride, int linesLeft, int lengthLeft) {
    constexpr int width = P::at_once;
    for (int e = threadIdx.x; e < lines * (length / width); e += threads) {
      const int line = e / (length / width), at = e % (length / width) * width;
      int valid = line < linesLeft ? lengthLeft - at : 0;
      valid = valid < 0 ? 0 : valid > width ? width : valid;
      T* const to = piece + line * pitch<T, P>(length) + at;
      const T* const source = valid > 0 ? from + line * stride + at : from;
      if constexpr (width * sizeof(T) >= 4 && !P::onChip)
        copy_async<width * (int)sizeof(T)>(to, source, valid * (int)sizeof(T));
      else
        for (int u = 0; u < width; u++) to[u] = u < valid ? source[u] : T();
    }
  }

  /// One tile of a product, by the tensor cores of a block's warps. Pieces of both operands come to shared memory while
  /// the ones before them are multiplied.
  template <int rows, int columns, int depth, int unitRows, int unitColumns, int pieces, class PA, class PB, bool pairs,
            bool adds, int threads, class A, class B, class C>
  static __device__ void tensor_tile(
      unsigned char* memory, int tile, int m, int n, int k, Matrix<A> a, Matrix<B> b, Matrix<C> c) {
    static_assert(pieces > 1, "a piece is multiplied while another one comes");
    typedef typename WithoutConst<A>::type Element;
    constexpr int linesA = PA::alongDepth ? rows : depth, lengthA = PA::alongDepth ? depth : rows;
    constexpr int linesB = PB::alongDepth ? columns : depth, lengthB = PB::alongDepth ? depth : columns;
    constexpr int pitchA = pitch<Element, PA>(lengthA), pitchB = pitch<Element, PB>(lengthB);
    constexpr int sizeA = linesA * pitchA, sizeB = linesB * pitchB;
    constexpr int across = columns / unitColumns, warps = rows / unitRows * across;
    constexpr int fragmentsDown = unitRows / 16, fragmentsAcross = unitColumns / 8;
    constexpr int step = sizeof(Element) == 2 ? 16 : 8;
    const int tilesAcross = (n + columns - 1) / columns;
    const int firstRow = tile / tilesAcross * rows, firstColumn = tile % tilesAcross * columns;
    if (firstRow >= m) return;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int warpRow = warp / across * unitRows, warpColumn = warp % across * unitColumns;
    Element* const piecesA = (Element*)memory;
    Element* const piecesB = piecesA + pieces * sizeA;
    const Element* const startA = a.at + firstRow * a.row;
    const Element* const startB = b.at + firstColumn * b.column;

    float sums[fragmentsDown][fragmentsAcross][4];
    for (int i = 0; i < fragmentsDown; i++)
      for (int j = 0; j < fragmentsAcross; j++)
        for (int e = 0; e < 4; e++) sums[i][j][e] = 0.0f;

    const int steps = (k + depth - 1) / depth;
    for (int next = 0; next < steps + pieces - 1; next++) {
      const int done = next - (pieces - 1);
      if (done >= 0) {
        // The piece to be multiplied has come, and everybody is done with the one that the next comes over.
        wait_for_copies<pieces - 2>();
        __syncthreads();
      }
      if (next < steps) {
        const int first = next * depth;
        Element* const toA = piecesA + next % pieces * sizeA;
        Element* const toB = piecesB + next % pieces * sizeB;
        if constexpr (PA::alongDepth)
          copy_piece<PA, linesA, lengthA, threads>(toA, startA + first, a.row, m - firstRow, k - first);
        else
          copy_piece<PA, linesA, lengthA, threads>(toA, startA + first * a.column, a.column, k - first, m - firstRow);
        if constexpr (PB::alongDepth)
          copy_piece<PB, linesB, lengthB, threads>(toB, startB + first, b.column, n - firstColumn, k - first);
        else
          copy_piece<PB, linesB, lengthB, threads>(toB, startB + first * b.row, b.row, k - first, n - firstColumn);
      }
      commit_copies();
      if (done < 0 || warp >= warps) continue;
      const Element* const pieceA = piecesA + done % pieces * sizeA;
      const Element* const pieceB = piecesB + done % pieces * sizeB;
      #pragma unroll
      for (int l = 0; l < depth; l += step) {
        FragmentA<Element> left[fragmentsDown];
        FragmentB<Element> right[fragmentsAcross];
        #pragma unroll
        for (int i = 0; i < fragmentsDown; i++)
          load_fragment<PA::alongDepth>(left[i], pieceA, pitchA, warpRow + i * 16, l, lane);
        #pragma unroll
        for (int j = 0; j < fragmentsAcross; j += 2)
          load_fragments<PB::alongDepth>(right[j], right[j + 1], pieceB, pitchB, warpColumn + j * 8, l, lane);
        #pragma unroll
        for (int i = 0; i < fragmentsDown; i++)
          #pragma unroll
          for (int j = 0; j < fragmentsAcross; j++) multiply_add(sums[i][j], left[i], right[j]);
      }
    }
    wait_for_copies<0>();
    __syncthreads();
    if (warp >= warps) return;
    #pragma unroll
    for (int i = 0; i < fragmentsDown; i++)
      #pragma unroll
      for (int j = 0; j < fragmentsAcross; j++)
        #pragma unroll
        for (int half = 0; half < 2; half++) {
          const int row = firstRow + warpRow + i * 16 + lane / 4 + half * 8;
          const int column = firstColumn + warpColumn + j * 8 + lane % 4 * 2;
          if (row < m && column < n) {
            C* const place = c.at + row * c.row + column * c.column;
            const bool isPair = column + 1 < n;
            put_two<pairs, adds>(place, c.column, sums[i][j][half * 2], sums[i][j][half * 2 + 1], isPair);
          }
        }
  }

  """#
