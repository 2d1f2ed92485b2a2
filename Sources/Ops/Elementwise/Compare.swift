import IR

/// Compares each pair of elements: `z = x < y` and its kin, of two tensors of one type; the result is bool.
///
/// A NaN is not equal to anything and neither less nor greater; bool counts as 0 and 1.
public struct Compare: OpFamily {
  public static let nameAttribute = "comparison"
  public var name: String { comparison.rawValue }
  public let comparison: Comparison
  public init(_ comparison: Comparison) { self.comparison = comparison }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x", "y")
    let x = operands[0]
    try require(x == operands[1], "wants two tensors of one type, got \(x) and \(operands[1])")
    return [x.with(.bool)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let result = operands[0].type.with(.bool)
    switch (operands[0].elements, operands[1].elements) {
    case (.floats(let x), .floats(let y)):
      return [Literal(result, integers: zip(x, y).map { comparison.holds($0, $1) ? 1 : 0 })]
    case (.integers(let x), .integers(let y)):
      return [Literal(result, integers: zip(x, y).map { comparison.holds($0, $1) ? 1 : 0 })]
    default: preconditionFailure("both operands are of one dtype")
    }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { g.none }

  public func lower(_ operands: [TensorType]) -> Lowering {
    .formula { source, at in .compare(comparison, source.operand(0, at: at), source.operand(1, at: at)) }
  }

  public static let samples: [Sample] = Comparison.allCases.flatMap { comparison -> [Sample] in
    let types = [TensorType.f32(3, 5), .i64(7), TensorType(.i32, [4]), TensorType(.bool, [5]), TensorType(.f16, [1])]
    return types.map { Sample(Self(comparison), $0, $0, integersBelow: 2) }
  }
}
