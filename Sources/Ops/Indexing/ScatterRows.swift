import IR

/// A table with some of its rows replaced: `y = table`, then `y[ids[k], r…] = values[k, r…]`, in the order of `k`.
///
/// A number outside of the table replaces nothing; of equal numbers the last counts. Where the table's memory may be
/// taken over, only those rows are written; else the table is copied first.
public struct ScatterRows: TensorOp {
  public var name: String { "scatter_rows" }
  /// No number stands twice among the ids, but for those outside of the table: then every row can be written by itself.
  public let isDistinct: Bool
  public init(isDistinct: Bool = false) { self.isDistinct = isDistinct }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "table", "ids", "values")
    let (table, ids, values) = (operands[0], operands[1], operands[2])
    try expectRowPairs(ids, values)
    try require(table.rank > 0 && table.dtype == values.dtype && table.shape.dropFirst() == values.shape.dropFirst(),
      "wants rows like those of \(table), got \(values)")
    return [table]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (table, ids, values) = (operands[0], operands[1].integers, operands[2])
    let rows = table.type.shape[0]
    let width = table.type.shape.dropFirst().reduce(1, *)
    var source = Array(0..<table.type.count)
    for (k, id) in ids.enumerated() where id >= 0 && id < rows {
      for c in 0..<width { source[Int(id) * width + c] = table.type.count + k * width + c }
    }
    if table.type.dtype.isFloat {
      let pool = table.doubles + values.doubles
      return [Literal(table.type, floats: source.map { pool[$0] })]
    }
    let pool = table.integers + values.integers
    return [Literal(table.type, integers: source.map { pool[$0] })]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    if g.upstream[0] == nil { return g.none }
    throw Diagnostic("'scatter_rows' has no gradient", at: g.builder.location)
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands) } }

  /// Changes only the rows that are named. Those of the table fall into up to 16 ranges, each of which reads all ids, so
  /// that of equal numbers the last is the last; distinct numbers need no such order.
  private func kernel(_ operands: [TensorType]) -> Kernel {
    let k = KernelBuilder()
    let (table, ids) = (operands[0], operands[1])
    let width = table.shape.dropFirst().reduce(1, *)
    let (t, i, v) = (k.input("table", table), k.input("ids", ids), k.input("values", operands[2]))
    let y = k.output("y", updating: t)
    let rows = table.shape[0]
    func replace(_ number: Position, within first: Position, _ count: Int) -> [Statement] {
      let (define, id) = k.define(k.load(i, number).wide)
      let low = Scalar.compare(.greaterOrEqual, .variable(id), .position(first))
      let high = Scalar.compare(.less, .variable(id), .position(first + count))
      let mine = Scalar.binary(.and, .binary(.and, low, high), .compare(.less, .variable(id), .int(rows)))
      let row = k.lanes(below: width) { column in
        [.store(y, Position(id) * width + column, k.load(v, number * width + column))]
      }
      return [define, .conditional(mine, [row])]
    }
    if isDistinct {
      k.stage(below: ids.count) { number in replace(number, within: Position(0), rows) }
    } else {
      let ranges = min(max(1, rows), 16)
      let range = pieces(of: rows, by: ranges)
      k.stage(below: ranges) { piece in
        [k.loop(below: ids.count) { number in replace(number, within: piece * range, range) }]
      }
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(6, 3), .i64(4), .f32(4, 3)), Sample(Self(), .i64(4), .i64(3), .i64(3)),
    Sample(Self(), TensorType(.bf16, [5, 2]), TensorType(.i32, [2]), TensorType(.bf16, [2, 2])),
    Sample(Self(), .f32(3, 2, 2), .i64(0), .f32(0, 2, 2)), Sample(Self(), .f32(0, 2), .i64(3), .f32(3, 2)),
  ]
}
