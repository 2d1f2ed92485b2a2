/// A stage that is nothing but matrix products of known sizes, as a library of column-major matrices does them:
///
///     D = op(A) · op(B), added to D where `accumulates`
///
/// `batch` times with even steps in all three matrices, and that for each position of the `calls`. A product whose result
/// lies row by row is its transposed: (A · B)ᵀ = Bᵀ · Aᵀ, so that nothing is ever copied.
public struct LibraryProduct: Hashable, Sendable {
  public var m: Int, n: Int, k: Int
  public var a: Operand, b: Operand, d: Operand
  public var accumulates: Bool
  public var batch: Int
  /// Extents of the loops around the calls, the outermost first; none for a single call.
  public var calls: [Int]
  /// Whether factors of f32 may be rounded to the 10 bits of tf32.
  public var allowsTF32: Bool

  /// A matrix as it lies in memory, column by column, `leading` elements from one to the next.
  public struct Operand: Hashable, Sendable {
    public var buffer: BufferID
    public var dtype: DType
    /// Of the first element, in elements.
    public var offset: Int
    public var rows: Int, columns: Int
    public var leading: Int
    /// Whether the product takes the transposed matrix.
    public var isTransposed: Bool
    public var batchStride: Int
    /// Elements from one call to the next, along each of the `calls`.
    public var callStrides: [Int]
  }

  /// One loop around a product: how often it steps and how far each step goes in each matrix.
  public struct Step: Hashable, Sendable {
    public var extent: Int
    public var a: Int, b: Int, c: Int

    public init(extent: Int, a: Int, b: Int, c: Int) {
      (self.extent, self.a, self.b, self.c) = (extent, a, b, c)
    }
  }

  /// A product at fixed places, repeated in `steps`, the innermost first: the longest is the batch, the others are calls.
  /// `nil` where the strides are not those of whole matrices, whose columns or rows do not overlap.
  public init?(
    _ product: Product, dtypes: (a: DType, b: DType, c: DType), steps: [Step] = [], allowsTF32: Bool = false
  ) {
    let (m, n, k) = (product.m, product.n, product.k)
    guard m > 0, n > 0, k > 0, product.rowLimit == nil, product.depthLimit == nil else { return nil }
    guard
      var left = Operand(product.a, dtypes.a, m, k), var right = Operand(product.b, dtypes.b, k, n),
      var into = Operand(product.c, dtypes.c, m, n)
    else { return nil }
    var outer = Array(steps.reversed())
    batch = 1
    if let longest = outer.indices.max(by: { outer[$0].extent < outer[$1].extent }) {
      let step = outer.remove(at: longest)
      batch = step.extent
      (left.batchStride, right.batchStride, into.batchStride) = (step.a, step.b, step.c)
    }
    calls = outer.map(\.extent)
    (left.callStrides, right.callStrides, into.callStrides) = (outer.map(\.a), outer.map(\.b), outer.map(\.c))
    if into.isTransposed {
      (self.m, self.n, self.k) = (n, m, k)
      (a, b, d) = (right.turned, left.turned, into.turned)
    } else {
      (self.m, self.n, self.k) = (m, n, k)
      (a, b, d) = (left, right, into)
    }
    accumulates = product.accumulates
    self.allowsTF32 = allowsTF32
  }

  /// The offsets of the three matrices in each call.
  public var callOffsets: [(a: Int, b: Int, d: Int)] {
    var offsets = [(a: a.offset, b: b.offset, d: d.offset)]
    for (axis, extent) in calls.enumerated() {
      offsets = offsets.flatMap { start in
        (0..<extent).map { at in
          (
            a: start.a + at * a.callStrides[axis], b: start.b + at * b.callStrides[axis],
            d: start.d + at * d.callStrides[axis]
          )
        }
      }
    }
    return offsets
  }

  /// Multiplications and additions of all calls.
  public var flops: Int { 2 * m * n * k * batch * calls.reduce(1, *) }
}

extension LibraryProduct.Operand {
  /// The matrix of `rows × columns` that a kernel's product names.
  fileprivate init?(_ matrix: Product.Matrix, _ dtype: DType, _ rows: Int, _ columns: Int) {
    guard let offset = matrix.offset.asConstant else { return nil }
    (buffer, self.dtype, self.offset) = (matrix.buffer, dtype, offset)
    (batchStride, callStrides) = (0, [])
    // A single row or column lies in memory as it pleases.
    let isByRows = (matrix.columnStride == 1 || columns == 1) && (matrix.rowStride >= columns || rows == 1)
    let isByColumns = (matrix.rowStride == 1 || rows == 1) && (matrix.columnStride >= rows || columns == 1)
    if isByRows {
      (self.rows, self.columns, isTransposed) = (columns, rows, true)
      leading = rows == 1 ? columns : matrix.rowStride
    } else if isByColumns {
      (self.rows, self.columns, isTransposed) = (rows, columns, false)
      leading = columns == 1 ? rows : matrix.columnStride
    } else {
      return nil
    }
  }

  fileprivate var turned: Self {
    var turned = self
    turned.isTransposed.toggle()
    return turned
  }
}
