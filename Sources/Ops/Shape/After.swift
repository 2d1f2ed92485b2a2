import IR

/// The same elements, but not before another value is there.
///
///     %2 = after %x, %g : f32[4, 8]
///
/// For what is computed a second time in order not to be kept: without it, the second computation would be the first.
public struct After: TensorOp {
  public var name: String { "after" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x", "the value to wait for")
    return [operands[0]]
  }

  public func reference(_ operands: [Literal]) -> [Literal] { [operands[0]] }
  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [g.upstream[0], nil] }
  public func lower(_ operands: [TensorType]) -> Lowering { .formula { source, at in source.operand(0, at: at) } }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(2, 3), .f32(4)), Sample(Self(), .i64(), .f32(2, 3)), Sample(Self(), .f32(3, 40), .f32(3, 40)),
    Sample(Self(), .f32(0, 2), .i64(1)),
  ]
}
