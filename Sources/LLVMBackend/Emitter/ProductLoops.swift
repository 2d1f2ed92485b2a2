#if LLVM
import IR

/// A matrix product as loops, for small ones and for elements the library does not know.
///
/// Tiles of C are held in registers: `rows` rows of some vectors of neighbouring elements where B's (or A's) elements lie
/// side by side along C's columns (or rows), and otherwise dot products along k.
struct ProductLoops {
  private let product: Product
  private let dtype: (BufferID) -> DType
  private let registers: Int
  private let lanes: Int
  private var nextLoop: Int
  private var nextVariable: Int

  /// Names of loops and variables from `firstName` on are free.
  init(_ product: Product, registers: Int, lanes: Int, firstName: Int, dtype: @escaping (BufferID) -> DType) {
    self.product = product
    self.registers = registers
    self.lanes = lanes
    self.dtype = dtype
    nextLoop = firstName
    nextVariable = firstName
  }

  /// The product as a problem of its own, which can be turned over: limits stand on rows or on columns.
  private struct Problem {
    var m: Int, n: Int, k: Int
    var rowLimit: Position?, columnLimit: Position?
    var a: Product.Matrix, b: Product.Matrix, c: Product.Matrix

    var transposed: Problem {
      Problem(
        m: n, n: m, k: k, rowLimit: columnLimit, columnLimit: rowLimit, a: Self.turn(b), b: Self.turn(a), c: Self.turn(c))
    }
    private static func turn(_ matrix: Product.Matrix) -> Product.Matrix {
      Product.Matrix(matrix.buffer, at: matrix.offset, rowStride: matrix.columnStride, columnStride: matrix.rowStride)
    }
  }

  /// Whether only along k the elements of both operands lie side by side, or C is a single column.
  static func isDot(_ product: Product) -> Bool {
    guard product.a.columnStride == 1, product.b.rowStride == 1 else { return false }
    if product.n == 1 { return true }
    return product.b.columnStride != 1 && (product.m == 1 || product.a.rowStride != 1)
  }

  mutating func statements() -> [Statement] {
    guard let limit = product.rowLimit, (limit.range?.lowerBound ?? .min) < product.m else { return loops(upTo: nil) }
    // The limit of a piece that is not the last lies behind the piece's end.
    let rows = Variable(nextVariable, .i64)
    nextVariable += 1
    let least = Scalar.binary(.minimum, .position(limit), .integer(Int64(product.m), .i64))
    return [.define(rows, .binary(.maximum, least, .integer(0, .i64)))] + loops(upTo: Position(rows))
  }

  private mutating func loops(upTo rows: Position?) -> [Statement] {
    let problem = Problem(
      m: product.m, n: product.n, k: product.k, rowLimit: rows, a: product.a, b: product.b, c: product.c)
    if Self.isDot(product) { return dots(problem) }
    let runsAlongRows = product.b.columnStride == 1
    let runsAlongColumns = product.a.rowStride == 1
    if runsAlongRows && runsAlongColumns {
      // Either way will do: the stores should be vectors, the vectors full.
      let isNarrow = product.n < lanes && product.m >= 4 * lanes && product.k >= lanes
      let isTurned = product.c.columnStride != 1 && product.m >= lanes
      return outer(isNarrow || isTurned ? problem.transposed : problem)
    }
    if runsAlongRows || !runsAlongColumns { return outer(problem) }
    return outer(problem.transposed)
  }

  private mutating func loop(_ extent: Int) -> LoopVariable {
    nextLoop += 1
    return LoopVariable(nextLoop, below: extent)
  }
  private mutating func variable() -> Variable {
    nextVariable += 1
    return Variable(nextVariable, .f32)
  }

  private func at(_ matrix: Product.Matrix, _ row: Position, _ column: Position) -> Position {
    matrix.offset + row * matrix.rowStride + column * matrix.columnStride
  }
  private func load(_ matrix: Product.Matrix, _ row: Position, _ column: Position) -> Scalar {
    .load(matrix.buffer, .f32, at(matrix, row, column), guard: nil)
  }
  private func result(_ c: Product.Matrix, _ row: Position, _ column: Position, _ sum: Variable) -> Statement {
    let value: Scalar = product.accumulates ? .binary(.add, load(c, row, column), .variable(sum)) : .variable(sum)
    return .store(c.buffer, at(c, row, column), value)
  }

  /// All rows in blocks of `height`, then what is left; `body` gets the first row of a block and its height.
  private mutating func blocks(
    _ problem: Problem, height: Int, _ body: (inout Self, Position, Int) -> [Statement]
  ) -> [Statement] {
    let height = min(height, problem.m)
    let block = loop(problem.m / height)
    let limit = problem.rowLimit.map { $0 / height }
    var statements: [Statement] = [
      .loop(Loop(block, .serial, limit: limit, body(&self, Position(block) * height, height)))
    ]
    if let rows = problem.rowLimit {
      // A limit leaves fewer rows than a block, wherever it falls.
      let rest = loop(problem.m)
      let first = rows / height * height
      statements.append(.loop(Loop(rest, .serial, limit: rows - first, body(&self, first + Position(rest), 1))))
    } else if problem.m % height > 0 {
      statements += body(&self, Position(problem.m / height * height), problem.m % height)
    }
    return statements
  }

  /// Vectors along the columns of C and B: every element of A meets a vector of B.
  private mutating func outer(_ problem: Problem) -> [Statement] {
    let copies = registers >= 32 ? 4 : 2
    let unroll = max(1, min(copies, (problem.n + lanes - 1) / lanes))
    let height = max(1, min(registers >= 32 ? 8 : 6, (registers - 6) / unroll))
    let lanes = lanes
    func vectors(_ j: LoopVariable, _ body: [Statement]) -> [Statement] {
      [.loop(Loop(j, .vector(width: lanes, unroll: unroll), limit: problem.columnLimit, body))]
    }
    if problem.m <= 128 {
      return blocks(problem, height: height) { loops, first, height in
        let j = loops.loop(problem.n)
        return vectors(j, loops.block(problem, first, j, height))
      }
    }
    // Many rows of A pass by one column of vectors of B, which stays in the second cache.
    let j = loop(problem.n)
    return vectors(j, blocks(problem, height: height) { loops, first, height in loops.block(problem, first, j, height) })
  }

  private mutating func block(_ problem: Problem, _ first: Position, _ j: LoopVariable, _ height: Int) -> [Statement] {
    let k = loop(problem.k)
    let sums = (0..<height).map { _ in variable() }
    let element = variable()
    var inner: [Statement] = [.define(element, load(problem.b, Position(k), Position(j)))]
    for (row, sum) in sums.enumerated() {
      let factor = load(problem.a, first + row, Position(k))
      inner.append(.accumulate(sum, .sum, .binary(.multiply, factor, .variable(element))))
    }
    var body: [Statement] = sums.map { .accumulator($0, .sum) }
    body.append(.loop(Loop(k, .serial, limit: product.depthLimit, inner)))
    for (row, sum) in sums.enumerated() { body.append(result(problem.c, first + row, Position(j), sum)) }
    return body
  }

  /// Vectors along k: tiles of dot products.
  private mutating func dots(_ problem: Problem) -> [Statement] {
    let side = registers >= 32 ? 4 : 2
    return blocks(problem, height: side) { loops, first, height in
      let wide = Problem(
        m: problem.n, n: 1, k: 1, rowLimit: problem.columnLimit, a: problem.a, b: problem.b, c: problem.c)
      return loops.blocks(wide, height: side) { loops, column, width in
        loops.tile(problem, first, column, height, width)
      }
    }
  }

  private mutating func tile(
    _ problem: Problem, _ row: Position, _ column: Position, _ height: Int, _ width: Int
  ) -> [Statement] {
    let k = loop(problem.k)
    let (rows, columns) = ((0..<height).map { _ in variable() }, (0..<width).map { _ in variable() })
    var inner: [Statement] = []
    for (i, name) in rows.enumerated() { inner.append(.define(name, load(problem.a, row + i, Position(k)))) }
    for (j, name) in columns.enumerated() { inner.append(.define(name, load(problem.b, Position(k), column + j))) }
    var (before, after) = ([Statement](), [Statement]())
    for (i, a) in rows.enumerated() {
      for (j, b) in columns.enumerated() {
        let sum = variable()
        before.append(.accumulator(sum, .sum))
        inner.append(.accumulate(sum, .sum, .binary(.multiply, .variable(a), .variable(b))))
        after.append(result(problem.c, row + i, column + j, sum))
      }
    }
    let unroll = height * width <= 2 ? 4 : 1
    return before + [.loop(Loop(k, .vector(width: lanes, unroll: unroll), limit: product.depthLimit, inner))] + after
  }
}
#endif
