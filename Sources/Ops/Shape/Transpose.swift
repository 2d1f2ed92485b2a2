import IR

/// Reorders axes: axis `i` of the result is axis `permutation[i]` of the operand.
public struct Transpose: TensorOp {
  public var name: String { "transpose" }
  public let permutation: [Int]
  public init(permutation: [Int]) { self.permutation = permutation }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try require(permutation.sorted() == Array(0..<x.rank), "wants an order of the \(x.rank) axes of \(x), got \(permutation)")
    return [x.with(shape: permutation.map { x.shape[$0] })]
  }

  /// For each axis of the operand its place in the result.
  private var inverse: [Int] {
    var inverse = permutation
    for (place, axis) in permutation.enumerated() { inverse[axis] = place }
    return inverse
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (x, inverse) = (operands[0], inverse)
    return [x.rearranged(to: permutation.map { x.type.shape[$0] }) { at in x.offset(of: inverse.map { at[$0] }) }]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [try g.emit(Transpose(permutation: inverse), dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let inverse = inverse
    return .formula { source, at in source.operand(0, at: inverse.map { at[$0] }) }
  }

  public static let samples: [Sample] = [
    Sample(Self(permutation: [1, 0]), .f32(3, 5)), Sample(Self(permutation: [2, 0, 1]), .f32(2, 3, 4)),
    Sample(Self(permutation: []), .f32()), Sample(Self(permutation: [0, 2, 1, 3]), .i64(2, 1, 3, 2)),
    Sample(Self(permutation: [1, 0]), .f32(0, 2)), Sample(Self(permutation: [1, 0]), TensorType(.u8, [2, 3])),
  ]
}
