#if LLVM
import IR
import LLVMBackend
import Runtime
import TestSupport
import Testing

/// Matrix products through the library and as loops, against the interpreter.
@Suite("machine code of products") struct ProductTests {
  /// `C = A · B` with each matrix row-major or transposed.
  func kernel(
    _ m: Int, _ n: Int, _ k: Int, _ turned: [Bool], _ dtypes: [DType], limit: Int?, depth: Int? = nil,
    accumulates: Bool
  ) -> Kernel {
    func matrix(_ number: Int, _ rows: Int, _ columns: Int) -> Product.Matrix {
      turned[number]
        ? Product.Matrix(BufferID(number), at: Position(0), rowStride: 1, columnStride: rows)
        : Product.Matrix(BufferID(number), at: Position(0), rowStride: columns, columnStride: 1)
    }
    let row = LoopVariable(0, below: 1)
    let (i, bound, terms) = (LoopVariable(1, below: m * n), Variable(0, .i64), Variable(1, .i64))
    var product = Product(m: m, n: n, k: k, matrix(0, m, k), matrix(1, k, n), into: matrix(2, m, n), accumulates: accumulates)
    if limit != nil { product.rowLimit = Position(bound) }
    if depth != nil { product.depthLimit = Position(terms) }
    return Kernel(
      name: "product",
      buffers: [
        .init("a", dtypes[0], m * k, .input), .init("b", dtypes[1], k * n, .input), .init("c", dtypes[2], m * n, .output),
      ],
      body: [
        .loop(Loop(row, .parallel, [.loop(Loop(i, .vector(width: 16, unroll: 1), [.store(BufferID(2), Position(i), .float(0.5))]))])),
        .loop(
          Loop(
            row, .parallel,
            [
              .define(bound, .integer(Int64(limit ?? m), .i64)), .define(terms, .integer(Int64(depth ?? k), .i64)),
              .product(product),
            ])),
      ])
  }

  func check(
    _ m: Int, _ n: Int, _ k: Int, _ turned: [Bool], _ dtypes: [DType] = [.f32, .f32, .f32], limit: Int? = nil,
    depth: Int? = nil, accumulates: Bool = false
  ) throws {
    var generator = Seeded(5)
    let kernel = kernel(m, n, k, turned, dtypes, limit: limit, depth: depth, accumulates: accumulates)
    let a = Literal.random(TensorType(dtypes[0], [m * k]), using: &generator)
    let b = Literal.random(TensorType(dtypes[1], [k * n]), using: &generator)
    let type = TensorType(dtypes[2], [m * n])
    let wanted = try KernelInterpreter.run(kernel, inputs: [a, b], resultTypes: [type])[0]
    let got = try Machine.shared.run(kernel, [a, b], [type])[0]
    let tolerance = dtypes[2] == .f32 ? 1e-5 : dtypes[2] == .bf16 ? 8e-3 : 1e-3
    #expect(got.difference(from: wanted) < tolerance, "\(m)×\(n)×\(k) \(turned) \(dtypes) \(String(describing: limit))")
  }

  static let turns: [[Bool]] = (0..<8).map { (bits: Int) in [bits & 1 != 0, bits & 2 != 0, bits & 4 != 0] }
  static let sizes = [[1, 1, 1], [1, 17, 9], [17, 1, 9], [5, 7, 1], [3, 5, 33], [13, 16, 16], [12, 70, 20], [33, 65, 40], [40, 64, 64]]

  @Test("all layouts", arguments: Self.turns, Self.sizes)
  func layouts(turned: [Bool], size: [Int]) throws {
    try check(size[0], size[1], size[2], turned)
    try check(size[0], size[1], size[2], turned, accumulates: true)
  }

  @Test("large products, which are the library's", arguments: Self.turns)
  func large(turned: [Bool]) throws {
    // Each column of B has one element, so that each element of C is one of A, times 1, 2 or 3, plus what stands there.
    let (m, n, k) = (260, 600, 440)
    let kernel = kernel(m, n, k, turned, [.f32, .f32, .f32], limit: 257, accumulates: true)
    var generator = Seeded(6)
    let a = Literal.random(.f32(m, k), using: &generator)
    let b = Literal(.f32(k, n)) { $0[0] == $0[1] * 7 % k ? Double(1 + $0[1] % 3) : 0 }
    func stored(_ number: Int, _ literal: Literal) -> Literal {
      let (rows, columns) = (literal.type.shape[0], literal.type.shape[1])
      let flat = TensorType.f32(rows * columns)
      return turned[number] ? Literal(flat) { literal[[$0[0] % rows, $0[0] / rows]] } : literal.reshaped(to: flat.shape)
    }
    let wanted = Literal(.f32(m, n)) { 0.5 + ($0[0] < 257 ? a[[$0[0], $0[1] * 7 % k]] * Double(1 + $0[1] % 3) : 0) }
    let got = try Machine.shared.run(kernel, [stored(0, a), stored(1, b)], [.f32(m * n)])[0]
    #expect(got.difference(from: stored(2, wanted)) < 1e-6)
  }

  @Test("fewer rows", arguments: Self.turns, [-2, 0, 1, 7, 13, 40, 99])
  func fewerRows(turned: [Bool], limit: Int) throws {
    try check(13, 9, 6, turned, limit: limit)
    try check(40, 32, 48, turned, limit: limit, accumulates: true)
  }

  @Test("shorter sums", arguments: Self.turns, [-2, 0, 1, 5, 6, 40, 99])
  func shorterSums(turned: [Bool], depth: Int) throws {
    try check(13, 9, 6, turned, depth: depth)
    try check(40, 32, 48, turned, limit: 33, depth: depth, accumulates: true)
    // The library's.
    try check(256, 260, 1040, turned, depth: depth)
  }

  @Test("small floats", arguments: Self.turns, [[DType.bf16, .bf16, .f32], [.f32, .bf16, .f32], [.f16, .f16, .f16], [.bf16, .f32, .bf16]])
  func smallFloats(turned: [Bool], dtypes: [DType]) throws {
    try check(7, 19, 33, turned, dtypes)
    try check(6, 20, 10, turned, dtypes, limit: 5, accumulates: dtypes[2] == .f32)
  }
}
#endif
