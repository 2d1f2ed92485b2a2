import IR

extension Sample {
  /// Matrix products: alone in their stage and among other statements, all layouts and element types.
  static let products: [Sample] = [
    product("product", 70, 33, 45), product("product_small", 3, 5, 2), product("product_row", 1, 130, 67),
    product("product_transposed", 40, 30, 20, aTransposed: true, bTransposed: true),
    amongOthers,
    product("product_bf16", 20, 66, 50, dtypes: (.bf16, .bf16, .bf16)).tolerance(1e-2),
    product("product_f16", 65, 10, 30, dtypes: (.f16, .f32, .f16)).tolerance(2e-3),
    product("product_adds", 17, 19, 23, accumulates: true),
    product("product_columns", 30, 40, 10, cTransposed: true),
    batched, pieced,
  ]

  static func product(
    _ name: String, _ m: Int, _ n: Int, _ k: Int, aTransposed: Bool = false, bTransposed: Bool = false,
    cTransposed: Bool = false, dtypes: (DType, DType, DType) = (.f32, .f32, .f32), accumulates: Bool = false
  ) -> Sample {
    let i = LoopVariable(0, below: 1)
    func matrix(_ buffer: Int, _ rows: Int, _ columns: Int, _ isTransposed: Bool) -> Product.Matrix {
      Product.Matrix(
        BufferID(buffer), at: Position(0), rowStride: isTransposed ? 1 : columns,
        columnStride: isTransposed ? rows : 1)
    }
    let product = Product(
      m: m, n: n, k: k, matrix(0, m, k, aTransposed), matrix(1, k, n, bTransposed), into: matrix(2, m, n, cTransposed),
      accumulates: accumulates)
    let count = LoopVariable(1, below: m * n)
    let fill = parallel(count, [store(2, Position(count), .float(0.25))])
    return Sample(
      name, [input(m * k, dtypes.0), input(k * n, dtypes.1), output(m * n, dtypes.2)],
      (accumulates ? [fill] : []) + [parallel(i, [.product(product)])])
  }

  /// x · xᵀ of what a row's lanes make, then its sum, row by row.
  static let amongOthers: Sample = {
    let (i, j, r) = (LoopVariable(0, below: 5), LoopVariable(1, below: 96), LoopVariable(2, below: 144))
    let sum = Variable(0, .f32)
    let x = Product.Matrix(BufferID(2), at: Position(0), rowStride: 8, columnStride: 1)
    let transposed = Product.Matrix(BufferID(2), at: Position(0), rowStride: 1, columnStride: 8)
    let c = Product.Matrix(BufferID(3), at: Position(0), rowStride: 12, columnStride: 1)
    return Sample(
      "product_among_others", [input(5 * 96), output(5 * 2), local(96), local(144, .bf16)],
      [
        parallel(i, [
          vector(j, [store(2, Position(j), load(0, Position(i) * 96 + Position(j)) * .float(0.5))]),
          .product(Product(m: 12, n: 12, k: 8, x, transposed, into: c)),
          .accumulator(sum, .sum),
          vector(r, [.accumulate(sum, .sum, load(3, Position(r)))]),
          store(1, Position(i) * 2, .variable(sum)),
          .product(Product(m: 12, n: 12, k: 8, x, transposed, into: c, accumulates: true)),
          store(1, Position(i) * 2 + 1, load(3, Position(143))),
        ])
      ]
    ).tolerance(2e-2)
  }()

  /// One product for each of a batch.
  static let batched: Sample = {
    let i = LoopVariable(0, below: 3)
    let a = Product.Matrix(BufferID(0), at: Position(i) * 200, rowStride: 10, columnStride: 1)
    let b = Product.Matrix(BufferID(1), at: Position(i) * 50, rowStride: 5, columnStride: 1)
    let c = Product.Matrix(BufferID(2), at: Position(i) * 100, rowStride: 5, columnStride: 1)
    return Sample(
      "product_batch", [input(600), input(150), output(300)],
      [parallel(i, [.product(Product(m: 20, n: 5, k: 10, a, b, into: c))])])
  }()

  /// One product in pieces of 16 rows, the last one shorter.
  static let pieced: Sample = {
    let i = LoopVariable(0, below: 4)
    let a = Product.Matrix(BufferID(0), at: Position(i) * 16 * 7, rowStride: 7, columnStride: 1)
    let b = Product.Matrix(BufferID(1), at: Position(0), rowStride: 9, columnStride: 1)
    let c = Product.Matrix(BufferID(2), at: Position(i) * 16 * 9, rowStride: 9, columnStride: 1)
    let product = Product(m: 16, n: 9, k: 7, rowLimit: Position(i) * -16 + 53, a, b, into: c)
    return Sample("product_pieces", [input(53 * 7), input(63), output(53 * 9)], [parallel(i, [.product(product)])])
  }()
}
