import IR

/// The same elements, constant for differentiation: no gradient passes.
///
/// For values that cancel mathematically, such as the maximum taken off before a softmax, and for selections. It means
/// nothing once gradients are made.
public struct StopGradient: TensorOp {
  public var name: String { "stop_gradient" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    return operands
  }

  public func reference(_ operands: [Literal]) -> [Literal] { operands }
  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [nil] }
  public func lower(_ operands: [TensorType]) -> Lowering { .formula { source, at in source.operand(0, at: at) } }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(2, 3)), Sample(Self(), .i64()), Sample(Self(), TensorType(.bf16, [4])), Sample(Self(), .f32(0, 2)),
  ]
}
