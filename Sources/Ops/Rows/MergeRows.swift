import IR

/// Orders the pairs of a row-sparse tensor by row number and sums those of one number, in the order they had.
///
///     ids = [4, 1, 4], values = [a, b, c]   ->   ids = [1, 4, −1], values = [b, a + c, 0]
///
/// Slots that become free get the number −1 and zeros, at the end; pairs with negative numbers vanish into them. Takes a
/// row-sparse tensor, or its ids and values, which is the form that has a kernel.
public struct MergeRows: TensorOp {
  public var name: String { "merge_rows" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    if operands.count != 2 {
      _ = try expectRows(operands)
      return operands
    }
    try expect(operands, "ids", "values")
    let (ids, values) = (operands[0], operands[1])
    try expectRowPairs(ids, values)
    try require(ids.dtype == .i64 && values.rank == 2 && values.dtype.isFloat, "wants i64 ids and a matrix of floats, got \(ids) and \(values)")
    return operands
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let isSplit = operands.count == 2
    let values = operands[operands.count - 1].doubles
    let ids = isSplit ? operands[0].integers : operands[0].ids
    let width = operands[operands.count - 1].type.shape[1]
    var sums: [Int64: [Double]] = [:]
    for (k, id) in ids.enumerated() where id >= 0 {
      let row = values[(k * width)..<((k + 1) * width)]
      sums[id] = sums[id].map { zip($0, row).map { $0 + $1 } } ?? Array(row)
    }
    let order = sums.keys.sorted()
    let free = ids.count - order.count
    let newIDs = order + [Int64](repeating: -1, count: free)
    let newValues = order.flatMap { sums[$0] ?? [] } + [Double](repeating: 0, count: free * width)
    return isSplit
      ? [Literal(operands[0].type, integers: newIDs), Literal(operands[1].type, floats: newValues)]
      : [Literal(operands[0].type, ids: newIDs, values: newValues)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    if g.operands.count == 1 { return [try g.floatUpstream()] }
    if g.upstream.allSatisfy({ $0 == nil }) { return g.none }
    throw Diagnostic("'merge_rows' of ids and values has no gradient", at: g.builder.location)
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .none }

  public static let samples: [Sample] = rowSamples.map { Sample(Self(), $0) } + [
    Sample(Self(), .i64(9), .f32(9, 3)), Sample(Self(), .i64(1), .f32(1, 2)), Sample(Self(), .i64(0), .f32(0, 2)),
    Sample(Self(), .i64(33), .f32(33, 1), integersBelow: 20), Sample(Self(), .i64(6), TensorType(.bf16, [6, 5])),
    Sample(Self(), .i64(6), .f32(6, 40)), Sample(Self(), .i64(5), .f32(5, 0)),
  ]
}
