import IR

/// The same elements, in the same row-major order, in another shape.
public struct Reshape: TensorOp {
  public var name: String { "reshape" }
  public let shape: [Int]
  public init(shape: [Int]) { self.shape = shape }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    let result = try checked(x.with(shape: shape))
    try require(result.count == x.count, "cannot put the \(x.count) elements of \(x) into \(shape)")
    return [result]
  }

  public func reference(_ operands: [Literal]) -> [Literal] { [operands[0].reshaped(to: shape)] }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [try g.emit(Reshape(shape: g.type(of: g.operands[0]).shape), dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let old = operands[0].shape
    return .formula { source, at in
      source.operand(0, at: Position.position(of: Position.offset(of: at, in: shape), in: old))
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(shape: [6]), .f32(2, 3)), Sample(Self(shape: [3, 4]), .f32(2, 6)), Sample(Self(shape: [2, 3, 5]), .f32(6, 5)),
    Sample(Self(shape: [1, 7, 1]), .i64(7)), Sample(Self(shape: []), .f32(1, 1)), Sample(Self(shape: [0, 5]), .f32(3, 0)),
    Sample(Self(shape: [2, 2]), TensorType(.f16, [4])), Sample(Self(shape: [1]), TensorType(.bool, [])),
  ]
}
