import IR

/// A function of each element: `y = f(x)`.
///
/// Integers know `negate`, `absolute` and `not`, wrapping around at their width; bool knows `not`; floats all but `not`.
public struct Unary: OpFamily {
  public static let nameAttribute = "function"
  public var name: String { function.rawValue }
  public let function: UnaryFunction
  public init(_ function: UnaryFunction) { self.function = function }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    let allowed: Bool =
      switch function {
      case .negate, .absolute: x.dtype != .bool
      case .not: !x.dtype.isFloat
      case .squareRoot, .floor, .exponential, .logarithm, .sine, .cosine, .tanh, .sigmoid, .erf, .reciprocalSquareRoot:
        x.dtype.isFloat
      }
    try require(allowed, "is not defined on \(x.dtype.rawValue)")
    return [x]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    switch x.elements {
    case .floats(let values): return [Literal(x.type, floats: values.map { function.of($0) })]
    case .integers(let values):
      let isBool = x.type.dtype == .bool
      return [Literal(x.type, integers: values.map { isBool ? 1 - $0 : function.of($0) })]
    }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let (x, y) = (g.operands[0], g.results[0])
    switch function {
    case .not, .floor: return [nil]
    case .negate: return [try g.negate(dy)]
    case .absolute:
      let zero = try g.constant(0, like: x)
      let below = try g.emit(Compare(.less), x, zero)
      let above = try g.emit(Compare(.greater), x, zero)
      return [try g.emit(Select(), below, g.negate(dy), g.keep(dy, where: above))]
    case .squareRoot: return [try g.divide(g.scale(dy, by: 0.5), y)]
    case .exponential: return [try g.multiply(dy, y)]
    case .logarithm: return [try g.divide(dy, x)]
    case .sine: return [try g.multiply(dy, g.emit(Unary(.cosine), x))]
    case .cosine: return [try g.multiply(dy, g.negate(g.emit(Unary(.sine), x)))]
    case .tanh:
      let slope = try g.subtract(g.constant(1, like: y), g.multiply(y, y))
      return [try g.multiply(dy, slope)]
    case .sigmoid:
      let slope = try g.multiply(y, g.subtract(g.constant(1, like: y), y))
      return [try g.multiply(dy, slope)]
    case .erf:
      let bell = try g.emit(Unary(.exponential), g.negate(g.multiply(x, x)))
      return [try g.multiply(dy, g.scale(bell, by: 2 / Double.pi.squareRoot()))]
    case .reciprocalSquareRoot:
      // 1 / x is y². Not y³ first, which vanishes where x is the square of something large.
      return [try g.multiply(g.multiply(dy, g.scale(y, by: -0.5)), g.multiply(y, y))]
    }
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let dtype = operands[0].dtype
    return .formula { source, at in
      Scalar.unary(function, source.operand(0, at: at)).wrapped(to: dtype)
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(.negate), .f32(3, 5)), Sample(Self(.negate), .i64(4)), Sample(Self(.negate), TensorType(.u8, [7])),
    Sample(Self(.absolute), .f32(7)), Sample(Self(.absolute), TensorType(.i32, [2, 2])),
    Sample(Self(.squareRoot), .f32(5)), Sample(Self(.floor), .f32(1, 9)), Sample(Self(.not), TensorType(.bool, [6])),
    Sample(Self(.not), TensorType(.u8, [3])), Sample(Self(.not), .i64(2, 1)),
    Sample(Self(.exponential), .f32(2, 3, 5)), Sample(Self(.exponential), TensorType(.bf16, [9])),
    Sample(Self(.logarithm), .f32(8)), Sample(Self(.sine), .f32(17)), Sample(Self(.cosine), .f32(17)),
    Sample(Self(.tanh), TensorType(.f16, [3, 3])), Sample(Self(.tanh), .f32()), Sample(Self(.sigmoid), .f32(0, 4)),
    Sample(Self(.sigmoid), .f32(33)), Sample(Self(.erf), .f32(11)), Sample(Self(.reciprocalSquareRoot), .f32(6)),
  ]
}
