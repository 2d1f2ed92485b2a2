import IR
import Ops
import Rewriting

extension Pattern {
  static let binaryRules: [Pattern] = [
    neutralOperand, absorbingOperand, sameOperands, zeroMinus, timesMinusOne, exactReciprocal, negatedOperand,
    constantChain, joinedPads,
  ]

  /// `x + 0 → x`, `x · 1 → x`, `max(x, −∞) → x` and their kin; the neutral operand on either side where the op commutes.
  private static let neutralOperand = Pattern("neutral-operand", on: Binary.self) { match, rewriter throws(NoMatch) in
    if let right = rewriter.constant(match[1]), match.op.function.isNeutralOnTheRight(right) { return match[0] }
    if match.op.function.commutes, let left = rewriter.constant(match[0]), match.op.function.isNeutralOnTheRight(left) {
      return match[1]
    }
    throw NoMatch("no operand is neutral")
  }

  /// `x · 0 → 0` of integers, `x and false → false`, `x or true → true`. Not of floats: `NaN · 0` is NaN.
  private static let absorbingOperand = Pattern("absorbing-operand", on: Binary.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.op.function.commutes, "does not commute")
    let (constant, _) = try rewriter.constantAndOther(of: match)
    try rewriter.require(!constant.isFloat, "of floats")
    let isZero = constant.integer == 0
    switch match.op.function {
    case .multiply, .and: try rewriter.require(isZero, "not zero")
    case .or: try rewriter.require(constant.isAllOnes, "not all ones")
    default: throw NoMatch("no operand absorbs the other")
    }
    return try rewriter.emit(constant)
  }

  /// `max(x, x) → x`, `x and x → x`; of integers `x − x → 0`. Not of floats: `∞ − ∞` is NaN.
  private static let sameOperands = Pattern("same-operands", on: Binary.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match[0] == match[1], "two operands")
    let type = rewriter.type(of: match[0])
    switch match.op.function {
    case .maximum, .minimum, .and, .or: return match[0]
    case .subtract where !type.dtype.isFloat: return try rewriter.emit(Constant(integer: 0, type))
    case .xor: return try rewriter.emit(Constant(integer: 0, type))
    default: throw NoMatch("nothing follows from equal operands")
    }
  }

  /// `0 − x → −x`
  private static let zeroMinus = Pattern("zero-minus", on: Binary.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.op.function == .subtract, "not a difference")
    guard let zero = rewriter.constant(match[0]), zero.equals(0) else { throw NoMatch("not from zero") }
    return try rewriter.emit(Unary(.negate), match[1])
  }

  /// `x · (−1) → −x`
  private static let timesMinusOne = Pattern("times-minus-one", on: Binary.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.op.function == .multiply, "not a product")
    let (constant, x) = try rewriter.constantAndOther(of: match)
    try rewriter.require(constant.equals(-1), "not by minus one")
    return try rewriter.emit(Unary(.negate), x)
  }

  /// `x / 2ⁿ → x · 2⁻ⁿ`: the only divisors whose reciprocal is exact.
  private static let exactReciprocal = Pattern("exact-reciprocal", on: Binary.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.op.function == .divide, "not a quotient")
    let divisor = try rewriter.rightConstant(of: match)
    let largest = divisor.type.dtype == .f16 ? 14 : 126
    let value = divisor.value
    let isPower = divisor.isFloat && value.isNormal && value.significand == 1
    try rewriter.require(isPower && abs(Int(value.exponent)) <= largest, "the reciprocal is not exact")
    return try rewriter.emit(Binary(.multiply), match[0], rewriter.emit(divisor.with(1 / value)))
  }

  /// `x + (−y) → x − y`, `x − (−y) → x + y`, `(−x) · (−y) → x · y`, `(−x) · c → x · (−c)`
  private static let negatedOperand = Pattern("negated-operand", on: Binary.self) { match, rewriter throws(NoMatch) in
    func negated(_ value: Value) -> Value? {
      rewriter.find(value, as: Unary.self).flatMap { $0.op.function == .negate ? $0[0] : nil }
    }
    let (x, y) = (negated(match[0]), negated(match[1]))
    switch match.op.function {
    case .add:
      if let y { return try rewriter.emit(Binary(.subtract), match[0], y) }
      if let x { return try rewriter.emit(Binary(.subtract), match[1], x) }
    case .subtract:
      if let y { return try rewriter.emit(Binary(.add), match[0], y) }
    case .multiply:
      if let x, let y { return try rewriter.emit(match.op, x, y) }
      let (constant, other) = try rewriter.constantAndOther(of: match)
      if constant.isFloat, let other = negated(other) {
        return try rewriter.emit(match.op, other, rewriter.emit(constant.with(-constant.value)))
      }
    default: break
    }
    throw NoMatch("no operand is negated")
  }

  /// `(x · c) · d → x · (c · d)`, and of integers `(x + c) + d → x + (c + d)`.
  ///
  /// Sums of floats stay: they may be there to round. Products of f32 move where nothing can overflow on the way.
  private static let constantChain = Pattern("constant-chain", on: Binary.self) { outer, rewriter throws(NoMatch) in
    let (d, middle) = try rewriter.constantAndOther(of: outer)
    let inner = try rewriter.definition(of: middle, as: Binary.self)
    try rewriter.require(inner.op == outer.op && rewriter.hasOneUse(middle), "not a chain of one op")
    let (c, x) = try rewriter.constantAndOther(of: inner)
    switch (outer.op.function, d.type.dtype) {
    case (.multiply, .f32): try rewriter.require(c.isModerate && d.isModerate, "the constants are too large or too small")
    case (.multiply, .i32), (.multiply, .i64), (.multiply, .u8), (.add, .i32), (.add, .i64), (.add, .u8): break
    default: throw NoMatch("moving the constants would round differently")
    }
    return try rewriter.emit(outer.op, x, rewriter.emit(outer.op, rewriter.emit(c), rewriter.emit(d)))
  }
}

extension Constant {
  /// Far from the limits of f32, and no zero.
  fileprivate var isModerate: Bool { abs(value) > 0x1p-60 && abs(value) < 0x1p60 }
}

extension BinaryFunction {
  var commutes: Bool {
    switch self {
    case .add, .multiply, .maximum, .minimum, .and, .or, .xor: true
    case .subtract, .divide, .remainder, .power, .shiftLeft, .shiftRight: false
    }
  }

  /// Whether `f(x, constant)` is `x`, up to the sign of a zero.
  fileprivate func isNeutralOnTheRight(_ constant: Constant) -> Bool {
    switch self {
    case .add, .subtract, .or, .xor, .shiftLeft, .shiftRight: constant.equals(0)
    case .multiply, .divide, .power: constant.equals(1)
    case .maximum: constant.isFloat && constant.value == -.infinity
    case .minimum: constant.isFloat && constant.value == .infinity
    case .and: constant.isAllOnes
    case .remainder: false
    }
  }
}
