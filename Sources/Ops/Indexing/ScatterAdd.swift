import IR

/// Adds rows into a table of zeros: `y[ids[k], r…] += values[k, r…]`, in the order of `k`.
///
/// A number outside of the table adds nothing. The kernel is parallel over pieces of the table, so that every sum
/// has one order and no atomics are needed; it writes the whole table. Sums of bf16 and f16 are rounded at each addition.
public struct ScatterAdd: TensorOp {
  public var name: String { "scatter_add" }
  public let rows: Int
  public init(rows: Int) { self.rows = rows }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "ids", "values")
    let (ids, values) = (operands[0], operands[1])
    try expectRowPairs(ids, values)
    return [try checked(values.with(shape: [rows] + values.shape.dropFirst()))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] { [operands[1].summed(by: operands[0].integers, into: rows)] }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [nil, try g.emit(Gather(), dy, g.operands[0])]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands[0], operands[1]) } }

  /// The table falls into up to 16 pieces, ranges of rows if it has enough and else of columns; each reads all ids.
  private func kernel(_ ids: TensorType, _ values: TensorType) -> Kernel {
    let k = KernelBuilder()
    let width = values.shape.dropFirst().reduce(1, *)
    let (i, v) = (k.input("ids", ids), k.input("values", values))
    let y = k.output("y", values.with(shape: [rows, width]))
    // Each range of rows goes through all ids, which is worth it where rows are longer than there are ranges.
    let ranges = min(max(1, rows), width < 16 ? 4 : 16)
    let columns = max(1, min(16 / ranges, width / 32))
    let (chunk, range) = (pieces(of: width, by: columns), pieces(of: rows, by: ranges))
    k.stage(below: columns * ranges) { piece in
      let (firstColumn, firstRow) = (piece % columns * chunk, piece / columns * range)
      let (columnLimit, rowLimit) = (Position(width) - firstColumn, Position(rows) - firstRow)
      let zero = Scalar.zero(ScalarType(values.dtype))
      let clear = k.loop(below: range, limit: rowLimit) { row in
        [k.lanes(below: chunk, limit: columnLimit) { column in
          [.store(y, (row + firstRow) * width + firstColumn + column, zero)]
        }]
      }
      let add = k.loop(below: ids.count) { number in
        let (define, id) = k.define(k.load(i, number).wide)
        let low = Scalar.compare(.greaterOrEqual, .variable(id), .position(firstRow))
        let high = Scalar.compare(.less, .variable(id), .position(firstRow + range))
        var mine = Scalar.binary(.and, low, high)
        if ranges * range > rows { mine = .binary(.and, mine, .compare(.less, .variable(id), .int(rows))) }
        let addRow = k.lanes(below: chunk, limit: columnLimit) { column in
          let at = Position(id) * width + firstColumn + column
          return [.store(y, at, .binary(.add, k.load(y, at), k.load(v, number * width + firstColumn + column)))]
        }
        return [define, .conditional(mine, [addRow])]
      }
      return [clear, add]
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(rows: 6), .i64(9), .f32(9, 3)), Sample(Self(rows: 3), .i64(4), .f32(4)), Sample(Self(rows: 4), .i64(5), .f32(5, 2, 3)),
    Sample(Self(rows: 5), TensorType(.i32, [3]), .f32(3, 40)), Sample(Self(rows: 2), .i64(0), .f32(0, 3)),
    Sample(Self(rows: 0), .i64(2), .f32(2, 3)), Sample(Self(rows: 5), .i64(7), .i64(7, 2)),
    Sample(Self(rows: 5), .i64(8), TensorType(.bf16, [8, 3])), Sample(Self(rows: 3), .i64(3), .f32(3, 0)),
  ]
}

/// Row numbers and as many rows of numbers.
func expectRowPairs(_ ids: TensorType, _ values: TensorType) throws(Violation) {
  try expectInteger(ids, as: "ids")
  try expectNumeric(values, as: "values")
  try require(ids.rank == 1, "wants a list of ids, got \(ids)")
  try require(values.rank > 0 && values.shape[0] == ids.shape[0], "wants a row of values for each of \(ids), got \(values)")
}

extension Literal {
  /// The rows of the tensor added up by number.
  func summed(by ids: [Int64], into rows: Int) -> Literal {
    let rest = Array(type.shape.dropFirst())
    let (result, width) = (type.with(shape: [rows] + rest), rest.reduce(1, *))
    let hits = ids.enumerated().filter { $0.element >= 0 && $0.element < rows }
    switch elements {
    case .floats(let values):
      var sums = [Double](repeating: 0, count: result.count)
      for (k, id) in hits {
        for c in 0..<width { sums[Int(id) * width + c] += values[k * width + c] }
      }
      return Literal(result, floats: sums)
    case .integers(let values):
      var sums = [Int64](repeating: 0, count: result.count)
      for (k, id) in hits {
        for c in 0..<width { sums[Int(id) * width + c] &+= values[k * width + c] }
      }
      return Literal(result, integers: sums)
    }
  }
}
