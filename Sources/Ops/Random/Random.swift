import IR

/// Random numbers of a key, the same on every machine: Philox4x32-10 on the element's place.
///
/// Element `i` is lane `i % 4` of the block whose counter is `i / 4`; the operand, an i64 scalar, is the key.
/// `bits` are 32 random bits: all of an i32, the lower half of an i64, cut to 8 for u8. `uniform` has 24 bits in
/// `0 ..< 1`. `normal` is Box–Muller's: lanes 0 and 1 of a block share their two uniform numbers, so do 2 and 3.
public struct Random: TensorOp {
  public enum Distribution: String, Hashable, Sendable, Codable, CaseIterable {
    case uniform, normal, bits
  }

  public var name: String { "random" }
  public let distribution: Distribution
  public let type: TensorType
  public init(_ distribution: Distribution, _ type: TensorType) {
    self.distribution = distribution
    self.type = type
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "key")
    try require(operands[0] == .i64(), "wants an i64 scalar as key, got \(operands[0])")
    try expectDense(type, as: "its type")
    if distribution == .bits {
      try require(type.dtype.isInteger, "makes integers of bits, not \(type)")
    } else {
      try require(type.dtype == .f32, "makes f32 numbers, not \(type)")
    }
    return [type]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let key = operands[0].integer(at: 0)
    if distribution == .bits {
      return [Literal(type, integers: (0..<type.count).map { Int64(Philox.block($0 / 4, key: key)[$0 % 4]) })]
    }
    return [Literal(type, floats: (0..<type.count).map { i in
      let uniform = Philox.block(i / 4, key: key).map { Double($0 >> 8) * 0x1p-24 }
      return distribution == .uniform ? uniform[i % 4] : Self.normal(uniform, lane: i % 4)
    })]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [nil] }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let (type, distribution) = (type, distribution)
    return .formula { source, at in
      let number = Position.offset(of: at, in: type.shape)
      let words = Philox.words(counter: number / 4, key: source.operand(0, at: []), source)
      let lane = number % 4
      switch distribution {
      case .bits:
        let bits = Scalar.pick(words, lane)
        switch type.dtype {
        case .i32: return .convert(bits, .i32)
        case .u8: return Scalar.convert(bits, .i32).wrapped(to: .u8)
        default: return bits
        }
      case .uniform: return Scalar.pick(words, lane).asUniform
      case .normal:
        // The pair of uniform numbers that the lane shares, then the cosine or the sine.
        let u = Scalar.pick([words[0], words[2]], lane / 2).asUniform, v = Scalar.pick([words[1], words[3]], lane / 2).asUniform
        let logarithm = Scalar.unary(.logarithm, .binary(.subtract, .float(1), u))
        let radius = Scalar.unary(.squareRoot, .binary(.multiply, .float(-2), logarithm))
        let angle = Scalar.binary(.multiply, .float(2 * Double.pi), v)
        let turned = Scalar.pick([.unary(.cosine, angle), .unary(.sine, angle)], number % 2)
        return .binary(.multiply, radius, turned)
      }
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(.uniform, .f32(3, 5)), .i64()), Sample(Self(.normal, .f32(9)), .i64()), Sample(Self(.bits, .i64(7)), .i64()),
    Sample(Self(.bits, TensorType(.i32, [2, 3])), .i64()), Sample(Self(.bits, TensorType(.u8, [5])), .i64()),
    Sample(Self(.uniform, .f32()), .i64()), Sample(Self(.normal, .f32(0)), .i64()),
  ]
}
