import IR

/// The row numbers of a row-sparse tensor: i64, as many as it holds pairs.
public struct RowIDs: TensorOp {
  public var name: String { "row_ids" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    [.i64(try expectRows(operands))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let ids = operands[0].ids
    return [Literal(.i64(ids.count), integers: ids)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [nil] }
  public func lower(_ operands: [TensorType]) -> Lowering { .none }
  public static let samples: [Sample] = rowSamples.map { Sample(Self(), $0) }
}

/// The rows that a row-sparse tensor holds: `[K, D]`.
///
/// Has no gradient: a table does not say how much of a row came from which pair.
public struct RowValues: TensorOp {
  public var name: String { "row_values" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    let rows = try expectRows(operands)
    return [TensorType(operands[0].dtype, [rows, operands[0].shape[1]])]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    return [Literal(TensorType(x.type.dtype, [x.ids.count, x.type.shape[1]]), floats: x.doubles)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    if g.upstream[0] == nil { return [nil] }
    throw Diagnostic("'row_values' has no gradient; make the tensor dense first", at: g.builder.location)
  }
  public func lower(_ operands: [TensorType]) -> Lowering { .none }
  public static let samples: [Sample] = rowSamples.map { Sample(Self(), $0) }
}

let rowSamples: [TensorType] = [
  TensorType(.f32, [5, 3], rows: 4), TensorType(.bf16, [7, 1], rows: 3), TensorType(.f32, [5, 2], rows: 0),
]

/// How many pairs the only operand, a row-sparse matrix of floats, holds.
func expectRows(_ operands: [TensorType]) throws(Violation) -> Int {
  try require(operands.count == 1, "takes one row-sparse tensor, got \(operands.count) operands")
  return try expectRows(operands[0])
}

func expectRows(_ type: TensorType) throws(Violation) -> Int {
  guard let rows = type.rows else { throw Violation("wants a row-sparse tensor, got \(type)") }
  try require(type.rank == 2 && type.dtype.isFloat, "wants a row-sparse matrix of floats, got \(type)")
  _ = try checked(type)
  return rows
}
