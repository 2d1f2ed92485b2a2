import IR

/// Picks from two tensors: `z = condition ? x : y`, element by element.
public struct Select: TensorOp {
  public var name: String { "select" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "condition", "x", "y")
    let (condition, x, y) = (operands[0], operands[1], operands[2])
    try require(condition.dtype == .bool, "wants a bool condition, got \(condition)")
    try require(x == y, "wants two tensors of one type to pick from, got \(x) and \(y)")
    try require(condition.shape == x.shape, "wants a condition as large as \(x), got \(condition)")
    return [x]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (condition, type) = (operands[0].integers, operands[1].type)
    switch (operands[1].elements, operands[2].elements) {
    case (.floats(let x), .floats(let y)):
      return [Literal(type, floats: condition.indices.map { condition[$0] != 0 ? x[$0] : y[$0] })]
    case (.integers(let x), .integers(let y)):
      return [Literal(type, integers: condition.indices.map { condition[$0] != 0 ? x[$0] : y[$0] })]
    default: preconditionFailure("both tensors are of one dtype")
    }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dz = try g.floatUpstream() else { return g.none }
    let condition = g.operands[0]
    let dy = try g.emit(Select(), condition, g.constant(0, like: dz), dz)
    return [nil, try g.keep(dz, where: condition), dy]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    .formula { source, at in
      .select(source.operand(0, at: at), source.operand(1, at: at), source.operand(2, at: at))
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(), TensorType(.bool, [3, 5]), .f32(3, 5), .f32(3, 5)),
    Sample(Self(), TensorType(.bool, [7]), .i64(7), .i64(7)),
    Sample(Self(), TensorType(.bool, [2]), TensorType(.bool, [2]), TensorType(.bool, [2])),
    Sample(Self(), TensorType(.bool, [3]), TensorType(.bf16, [3]), TensorType(.bf16, [3])),
    Sample(Self(), TensorType(.bool, [0]), .f32(0), .f32(0)),
  ]
}
