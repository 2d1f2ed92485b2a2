import IR

/// A row-sparse tensor of row numbers and their rows: `rows<K>[V, D]` of `ids: [K]` and `values: [K, D]`.
///
/// Numbers may repeat, and what they hold adds up; a number outside of the table holds nothing. Copies nothing.
public struct MakeRows: TensorOp {
  public var name: String { "make_rows" }
  /// Rows of the whole table.
  public let rows: Int
  public init(rows: Int) { self.rows = rows }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "ids", "values")
    let (ids, values) = (operands[0], operands[1])
    try require(ids.dtype == .i64 && ids.rank == 1, "wants a list of i64 ids, got \(ids)")
    try require(values.dtype.isFloat && values.rank == 2, "wants a matrix of floats as values, got \(values)")
    try require(values.shape[0] == ids.shape[0], "wants a row of values for each of \(ids), got \(values)")
    return [try checked(TensorType(values.dtype, [rows, values.shape[1]], rows: ids.shape[0]))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (ids, values) = (operands[0], operands[1])
    let type = TensorType(values.type.dtype, [rows, values.type.shape[1]], rows: ids.type.shape[0])
    return [Literal(type, ids: ids.integers, values: values.doubles)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [nil, try g.emit(Gather(), dy, g.operands[0])]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .none }

  public static let samples: [Sample] = [
    Sample(Self(rows: 7), .i64(5), .f32(5, 3)), Sample(Self(rows: 5), .i64(1), TensorType(.bf16, [1, 4])),
    Sample(Self(rows: 3), .i64(0), .f32(0, 2)),
  ]
}
