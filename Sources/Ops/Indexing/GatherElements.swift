import IR

/// Picks elements along the last axis: `y[b…, k] = x[b…, ids[b…, k]]`.
///
/// A number outside of the axis gives zero (false).
public struct GatherElements: TensorOp {
  public var name: String { "gather_elements" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x", "ids")
    let (x, ids) = (operands[0], operands[1])
    try expectInteger(ids, as: "ids")
    let fits = x.rank > 0 && ids.rank == x.rank && x.shape.dropLast() == ids.shape.dropLast()
    try require(fits, "wants ids for the last axis of \(x), got \(ids)")
    return [x.with(shape: ids.shape)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (x, ids) = (operands[0], operands[1])
    let (extent, picks) = (x.type.shape[x.type.rank - 1], ids.type.shape[x.type.rank - 1])
    let numbers = ids.integers
    return [x.rearranged(to: [numbers.count]) { at in
      let id = numbers[at[0]]
      return id >= 0 && id < extent ? at[0] / picks * extent + Int(id) : nil
    }.reshaped(to: ids.type.shape)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let x = g.type(of: g.operands[0])
    return [try g.emit(ScatterElements(extent: x.shape[x.rank - 1]), g.operands[1], dy), nil]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let extent = operands[0].shape[operands[0].rank - 1]
    return .formula { source, at in
      let place = source.position(source.operand(1, at: at).wide)
      return source.operand(0, at: at.dropLast() + [place], where: Scalar.position(place).isWithin(extent))
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(3, 7), .i64(3, 1)), Sample(Self(), .f32(2, 3, 4), .i64(2, 3, 9)), Sample(Self(), .f32(5), TensorType(.i32, [3])),
    Sample(Self(), .i64(2, 3), .i64(2, 2)), Sample(Self(), TensorType(.bf16, [2, 6]), .i64(2, 3)),
    Sample(Self(), .f32(2, 0), .i64(2, 1)), Sample(Self(), .f32(2, 3), .i64(2, 0)),
  ]
}
