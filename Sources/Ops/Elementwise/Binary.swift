import IR

/// A function of each pair of elements: `z = f(x, y)`, of two tensors of one type.
///
/// Integers wrap around at their width; `and`, `or`, `xor` are logical on bool and bitwise on integers.
public struct Binary: OpFamily {
  public static let nameAttribute = "function"
  public var name: String { function.rawValue }
  public let function: BinaryFunction
  public init(_ function: BinaryFunction) { self.function = function }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x", "y")
    let x = operands[0]
    try require(x == operands[1], "wants two tensors of one type, got \(x) and \(operands[1])")
    let allowed: Bool =
      switch function {
      case .add, .subtract, .multiply, .divide, .remainder, .maximum, .minimum: x.dtype != .bool
      case .power: x.dtype.isFloat
      case .and, .or, .xor: !x.dtype.isFloat
      case .shiftLeft, .shiftRight: x.dtype.isInteger
      }
    try require(allowed, "is not defined on \(x.dtype.rawValue)")
    return [x]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let type = operands[0].type
    switch (operands[0].elements, operands[1].elements) {
    case (.floats(let x), .floats(let y)): return [Literal(type, floats: zip(x, y).map { function.of($0, $1) })]
    case (.integers(let x), .integers(let y)):
      let bits = type.dtype.size * 8
      return [Literal(type, integers: zip(x, y).map { function.of($0, $1, bits: bits) })]
    default: preconditionFailure("both operands are of one dtype")
    }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dz = try g.floatUpstream() else { return g.none }
    let (x, y, z) = (g.operands[0], g.operands[1], g.results[0])
    switch function {
    case .add: return [dz, dz]
    case .subtract: return [dz, try g.negate(dz)]
    case .multiply: return [try g.multiply(dz, y), try g.multiply(dz, x)]
    case .divide:
      let dx = try g.divide(dz, y)
      return [dx, try g.negate(g.multiply(dx, z))]
    case .remainder:
      let quotient = try g.emit(Unary(.floor), g.divide(x, y))
      return [dz, try g.negate(g.multiply(dz, quotient))]
    case .maximum: return try shared(.greater, of: dz, x, y, &g)
    case .minimum: return try shared(.less, of: dz, x, y, &g)
    case .power: return try powerGradient(of: dz, x, y, z, &g)
    case .and, .or, .xor, .shiftLeft, .shiftRight: return g.none
    }
  }

  /// The gradient goes to the operand that was chosen; where they are equal, half to each.
  private func shared(
    _ comparison: Comparison, of dz: Value, _ x: Value, _ y: Value, _ g: inout GradientBuilder
  ) throws(Diagnostic) -> [Value?] {
    let half = try g.keep(g.scale(dz, by: 0.5), where: g.emit(Compare(.equal), x, y))
    let dx = try g.emit(Select(), g.emit(Compare(comparison), x, y), dz, half)
    let dy = try g.emit(Select(), g.emit(Compare(comparison), y, x), dz, half)
    return [dx, dy]
  }

  /// `dx = y·x^(y−1)`, 0 where y is 0; `dy = x^y·log x`, 0 where x is 0.
  private func powerGradient(
    of dz: Value, _ x: Value, _ y: Value, _ z: Value, _ g: inout GradientBuilder
  ) throws(Diagnostic) -> [Value?] {
    let (zero, one) = (try g.constant(0, like: x), try g.constant(1, like: x))
    let exponent = try g.emit(Select(), g.emit(Compare(.equal), y, zero), one, y)
    let slope = try g.multiply(y, g.emit(Binary(.power), x, g.subtract(exponent, one)))
    let base = try g.emit(Select(), g.emit(Compare(.equal), x, zero), one, x)
    let dy = try g.multiply(z, g.emit(Unary(.logarithm), base))
    return [try g.multiply(dz, slope), try g.multiply(dz, dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let dtype = operands[0].dtype
    return .formula { source, at in
      Scalar.binary(function, source.operand(0, at: at), source.operand(1, at: at)).wrapped(to: dtype)
    }
  }

  public static let samples: [Sample] = BinaryFunction.allCases.flatMap { function -> [Sample] in
    let op = Self(function)
    let types = [
      TensorType.f32(3, 7), .f32(1), TensorType(.bf16, [5]), TensorType(.i32, [9]), .i64(4, 3), TensorType(.u8, [6]),
      TensorType(.bool, [5]), .f32(2, 0, 3),
    ]
    return types.filter { (try? op.infer([$0, $0])) != nil }.map { Sample(op, $0, $0) }
  }
}
