import IR

/// The sum of row-sparse tensors of one shape: the pairs of all, in the order of the operands.
public struct ConcatenateRows: TensorOp {
  public var name: String { "concatenate_rows" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try require(!operands.isEmpty, "wants at least one operand")
    let first = operands[0]
    var rows = 0
    for type in operands {
      rows += try expectRows(type)
      try require(type.dtype == first.dtype && type.shape == first.shape, "cannot add \(type) to \(first)")
      try require(rows <= largestCount, "holds too many rows")
    }
    return [try checked(TensorType(first.dtype, first.shape, rows: rows))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let first = operands[0].type
    let ids = operands.flatMap(\.ids)
    return [Literal(TensorType(first.dtype, first.shape, rows: ids.count), ids: ids, values: operands.flatMap(\.doubles))]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    let dy = try g.floatUpstream()
    return g.operands.map { _ in dy }
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .none }
  public static let samples: [Sample] = [
    Sample(Self(), TensorType(.f32, [5, 3], rows: 4), TensorType(.f32, [5, 3], rows: 1)), Sample(Self(), rowSamples[1]),
    Sample(Self(), rowSamples[2], TensorType(.f32, [5, 2], rows: 3), TensorType(.f32, [5, 2], rows: 2)),
  ]
}
