import IR

/// Rows of a table, by number: `y[i…, r…] = table[ids[i…], r…]`.
///
/// A number outside of the table gives a row of zeros (false). The gradient of a table of vectors is row-sparse: its cost
/// does not depend on how many rows the table has.
public struct Gather: TensorOp {
  public var name: String { "gather" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "table", "ids")
    let (table, ids) = (operands[0], operands[1])
    try require(table.rank > 0, "wants a table with rows, got \(table)")
    try expectInteger(ids, as: "ids")
    return [try checked(table.with(shape: ids.shape + table.shape.dropFirst()))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (table, ids) = (operands[0], operands[1])
    let rest = Array(table.type.shape.dropFirst())
    let width = rest.reduce(1, *)
    let numbers = ids.integers
    return [table.rearranged(to: [numbers.count, width]) { at in
      let id = numbers[at[0]]
      return id >= 0 && id < table.type.shape[0] ? Int(id) * width + at[1] : nil
    }.reshaped(to: ids.type.shape + rest)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let (table, ids) = (g.type(of: g.operands[0]), g.type(of: g.operands[1]))
    var numbers = try g.emit(Reshape(shape: [ids.count]), g.operands[1])
    if ids.dtype != .i64 { numbers = try g.emit(Cast(.i64), numbers) }
    let values = try g.emit(Reshape(shape: [ids.count] + table.shape.dropFirst()), dy)
    if table.rank == 2 { return [try g.emit(MakeRows(rows: table.shape[0]), numbers, values), nil] }
    return [try g.emit(ScatterAdd(rows: table.shape[0]), numbers, values), nil]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let (rows, rank) = (operands[0].shape[0], operands[1].rank)
    return .formula { source, at in
      let id = source.operand(1, at: Array(at[..<rank])).wide
      let row = source.position(id)
      return source.operand(0, at: [row] + at[rank...], where: Scalar.position(row).isWithin(rows))
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(7, 3), .i64(5)), Sample(Self(), .f32(3, 2), .i64(2, 4)), Sample(Self(), .f32(5), .i64(3)),
    Sample(Self(), .f32(5, 2, 3), TensorType(.i32, [4])), Sample(Self(), .i64(5, 1), .i64()),
    Sample(Self(), TensorType(.bf16, [5, 3]), .i64(6)), Sample(Self(), .f32(0, 3), .i64(2)), Sample(Self(), .f32(4, 3), .i64(0)),
    Sample(Self(), TensorType(.bool, [4]), TensorType(.u8, [3])),
  ]
}
