import Foundation
import IR

// What the functions of kernels mean, in plain Swift.

extension UnaryFunction {
  func of(_ x: Double) -> Double {
    switch self {
    case .negate: -x
    case .absolute: abs(x)
    case .squareRoot: x.squareRoot()
    case .floor: x.rounded(.down)
    case .exponential: exp(x)
    case .logarithm: log(x)
    case .sine: sin(x)
    case .cosine: cos(x)
    case .tanh: Foundation.tanh(x)
    case .sigmoid: x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x))
    case .erf: Foundation.erf(x)
    case .reciprocalSquareRoot: 1 / x.squareRoot()
    case .not: preconditionFailure("'not' is not defined on floats")
    }
  }

  func of(_ x: Int64) -> Int64 {
    switch self {
    case .negate: 0 &- x
    case .absolute: x < 0 ? 0 &- x : x
    case .not: ~x
    default: preconditionFailure("'\(rawValue)' is not defined on integers")
    }
  }
}

extension BinaryFunction {
  func of(_ x: Double, _ y: Double) -> Double {
    switch self {
    case .add: x + y
    case .subtract: x - y
    case .multiply: x * y
    case .divide: x / y
    case .remainder: x - y * (x / y).rounded(.down)
    case .maximum: x.isNaN || y.isNaN ? .nan : max(x, y)
    case .minimum: x.isNaN || y.isNaN ? .nan : min(x, y)
    case .power: pow(x, y)
    case .and, .or, .xor, .shiftLeft, .shiftRight: preconditionFailure("'\(rawValue)' is not defined on floats")
    }
  }

  /// Of integers of some width; the result is yet to be wrapped to it.
  func of(_ x: Int64, _ y: Int64, bits: Int) -> Int64 {
    switch self {
    case .add: return x &+ y
    case .subtract: return x &- y
    case .multiply: return x &* y
    case .divide, .remainder:
      guard y != 0 else { return 0 }
      let (quotient, remainder) = floorDivide(x, y)
      return self == .divide ? quotient : remainder
    case .maximum: return max(x, y)
    case .minimum: return min(x, y)
    case .and: return x & y
    case .or: return x | y
    case .xor: return x ^ y
    case .shiftLeft: return y >= 0 && y < bits ? x << y : 0
    case .shiftRight:
      guard y >= 0 && y < bits else { return 0 }
      let mask: UInt64 = bits == 64 ? .max : (1 << UInt64(bits)) - 1
      return Int64(bitPattern: (UInt64(bitPattern: x) & mask) >> UInt64(y))
    case .power: preconditionFailure("'power' is not defined on integers")
    }
  }

  /// Quotient towards minus infinity, and what remains; the one quotient that has no room wraps around.
  private func floorDivide(_ x: Int64, _ y: Int64) -> (Int64, Int64) {
    let quotient = x.dividedReportingOverflow(by: y)
    if quotient.overflow { return (.min, 0) }
    let remainder = x - quotient.partialValue * y
    return remainder != 0 && (remainder < 0) != (y < 0)
      ? (quotient.partialValue - 1, remainder + y) : (quotient.partialValue, remainder)
  }
}

extension Comparison {
  func holds<T: Comparable>(_ x: T, _ y: T) -> Bool {
    switch self {
    case .equal: x == y
    case .notEqual: x != y
    case .less: x < y
    case .lessOrEqual: x <= y
    case .greater: x > y
    case .greaterOrEqual: x >= y
    }
  }
}
