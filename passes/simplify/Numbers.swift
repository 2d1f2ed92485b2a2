import IR
import Ops
import Rewriting

// What the rules ask about constants.

extension Constant {
  /// The constant of a number that was computed in `literal`, its only element.
  init(only literal: Literal, shape: [Int]) {
    let type = literal.type.with(shape: shape)
    switch literal.elements {
    case .floats(let values): self.init(Self.rounded(values[0], type.dtype), type)
    case .integers(let values): self.init(integer: values[0], type)
    }
  }

  /// What f32 can hold, as far as it can: a number too large for it stays what it is.
  private static func rounded(_ value: Double, _ dtype: DType) -> Double {
    guard dtype == .f32, value.isFinite else { return value }
    let rounded = Double(Float(value))
    return rounded.isFinite ? rounded : value
  }

  /// The same number in another shape.
  func shaped(_ shape: [Int]) -> Constant {
    type.dtype.isFloat ? Constant(value, type.with(shape: shape)) : Constant(integer: integer, type.with(shape: shape))
  }

  /// The number by itself, as its type holds it.
  var scalar: Literal { shaped([]).reference([])[0] }

  /// Whether this is `number` exactly.
  func equals(_ number: Double) -> Bool { scalar.float(at: 0) == number }

  /// The constant of another number of the same type.
  func with(_ number: Double) -> Constant { Constant(number, type) }

  var isFloat: Bool { type.dtype.isFloat }
  var isBool: Bool { type.dtype == .bool }

  /// Whether every bit of an integer, or of a truth value, is set.
  var isAllOnes: Bool {
    switch type.dtype {
    case .bool: integer == 1
    case .u8: integer == 255
    case .i32, .i64: integer == -1
    case .f32, .bf16, .f16: false
    }
  }
}

extension Rewriter {
  /// The constant that a value is, if it is one.
  func constant(_ value: Value) -> Constant? { find(value, as: Constant.self)?.op }

  /// The right operand's constant.
  func rightConstant(of match: Match<Binary>) throws(NoMatch) -> Constant {
    guard let constant = constant(match[1]) else { throw NoMatch("the right operand is no constant") }
    return constant
  }

  /// The constant that one operand of a commutative op is, and the other operand.
  func constantAndOther(of match: Match<Binary>) throws(NoMatch) -> (constant: Constant, other: Value) {
    if let constant = constant(match[1]) { return (constant, match[0]) }
    if let constant = constant(match[0]) { return (constant, match[1]) }
    throw NoMatch("no operand is a constant")
  }
}
