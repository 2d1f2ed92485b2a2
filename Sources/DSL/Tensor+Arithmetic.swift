import IR
import Ops

// Shapes follow numpy: axes are matched from the last one on, and an axis that is missing or of extent 1 is repeated.

extension Tensor {
  public static func + (l: Tensor, r: Tensor) -> Tensor { l.binary(.add, r) }
  public static func - (l: Tensor, r: Tensor) -> Tensor { l.binary(.subtract, r) }
  public static func * (l: Tensor, r: Tensor) -> Tensor { l.binary(.multiply, r) }
  public static func / (l: Tensor, r: Tensor) -> Tensor { l.binary(.divide, r) }
  public static prefix func - (x: Tensor) -> Tensor { x.unary(.negate) }

  public static func + (l: Tensor, r: Double) -> Tensor { l.binary(.add, l.constant(r)) }
  public static func - (l: Tensor, r: Double) -> Tensor { l.binary(.subtract, l.constant(r)) }
  public static func * (l: Tensor, r: Double) -> Tensor { l.binary(.multiply, l.constant(r)) }
  public static func / (l: Tensor, r: Double) -> Tensor { l.binary(.divide, l.constant(r)) }
  public static func + (l: Double, r: Tensor) -> Tensor { r.constant(l).binary(.add, r) }
  public static func - (l: Double, r: Tensor) -> Tensor { r.constant(l).binary(.subtract, r) }
  public static func * (l: Double, r: Tensor) -> Tensor { r.constant(l).binary(.multiply, r) }
  public static func / (l: Double, r: Tensor) -> Tensor { r.constant(l).binary(.divide, r) }

  public static func .& (l: Tensor, r: Tensor) -> Tensor { l.binary(.and, r) }
  public static func .| (l: Tensor, r: Tensor) -> Tensor { l.binary(.or, r) }
  public static func .^ (l: Tensor, r: Tensor) -> Tensor { l.binary(.xor, r) }
  public static prefix func .! (x: Tensor) -> Tensor { x.unary(.not) }

  /// The larger of the two, element by element.
  public func maximum(_ other: Tensor) -> Tensor { binary(.maximum, other) }
  public func maximum(_ other: Double) -> Tensor { binary(.maximum, constant(other)) }
  /// The smaller of the two, element by element.
  public func minimum(_ other: Tensor) -> Tensor { binary(.minimum, other) }
  public func minimum(_ other: Double) -> Tensor { binary(.minimum, constant(other)) }
  /// What remains of a division, with the sign of the divisor.
  public func remainder(_ other: Tensor) -> Tensor { binary(.remainder, other) }
  public func remainder(_ other: Double) -> Tensor { binary(.remainder, constant(other)) }

  public func exp() -> Tensor { unary(.exponential) }
  public func log() -> Tensor { unary(.logarithm) }
  public func sin() -> Tensor { unary(.sine) }
  public func cos() -> Tensor { unary(.cosine) }
  public func tanh() -> Tensor { unary(.tanh) }
  public func sigmoid() -> Tensor { unary(.sigmoid) }
  public func erf() -> Tensor { unary(.erf) }
  public func squareRoot() -> Tensor { unary(.squareRoot) }
  public func reciprocalSquareRoot() -> Tensor { unary(.reciprocalSquareRoot) }
  public func magnitude() -> Tensor { unary(.absolute) }
  public func squared() -> Tensor { self * self }

  /// The same numbers in another element type.
  public func cast(to dtype: DType) -> Tensor { dtype == self.dtype ? self : trace.emit(Cast(dtype), self) }

  /// The same numbers, constant for differentiation.
  public func stoppingGradient() -> Tensor { trace.emit(StopGradient(), self) }

  func unary(_ function: UnaryFunction) -> Tensor { trace.emit(Unary(function), self) }

  func binary(_ function: BinaryFunction, _ other: Tensor) -> Tensor {
    let (l, r) = Tensor.broadcast(self, other)
    return trace.emit(Binary(function), l, r)
  }
}

// MARK: Comparison and choice

extension Tensor {
  public static func .< (l: Tensor, r: Tensor) -> Tensor { l.compare(.less, r) }
  public static func .<= (l: Tensor, r: Tensor) -> Tensor { l.compare(.lessOrEqual, r) }
  public static func .> (l: Tensor, r: Tensor) -> Tensor { l.compare(.greater, r) }
  public static func .>= (l: Tensor, r: Tensor) -> Tensor { l.compare(.greaterOrEqual, r) }
  public static func .== (l: Tensor, r: Tensor) -> Tensor { l.compare(.equal, r) }
  public static func .!= (l: Tensor, r: Tensor) -> Tensor { l.compare(.notEqual, r) }

  public static func .< (l: Tensor, r: Double) -> Tensor { l.compare(.less, l.constant(r)) }
  public static func .<= (l: Tensor, r: Double) -> Tensor { l.compare(.lessOrEqual, l.constant(r)) }
  public static func .> (l: Tensor, r: Double) -> Tensor { l.compare(.greater, l.constant(r)) }
  public static func .>= (l: Tensor, r: Double) -> Tensor { l.compare(.greaterOrEqual, l.constant(r)) }
  public static func .== (l: Tensor, r: Double) -> Tensor { l.compare(.equal, l.constant(r)) }
  public static func .!= (l: Tensor, r: Double) -> Tensor { l.compare(.notEqual, l.constant(r)) }

  /// `yes` where this tensor of truth values holds, `no` elsewhere.
  public func select(_ yes: Tensor, else no: Tensor) -> Tensor {
    let (first, second) = Tensor.broadcast(yes, no)
    let (condition, left) = Tensor.broadcast(self, first)
    return trace.emit(Select(), condition, left, second.broadcast(to: condition.shape))
  }
  public func select(_ yes: Tensor, else no: Double) -> Tensor { select(yes, else: yes.constant(no)) }

  func compare(_ comparison: Comparison, _ other: Tensor) -> Tensor {
    let (l, r) = Tensor.broadcast(self, other)
    return trace.emit(Compare(comparison), l, r)
  }
}

// MARK: Broadcasting

extension Tensor {
  /// Both tensors in the shape they have in common.
  static func broadcast(_ l: Tensor, _ r: Tensor) -> (Tensor, Tensor) {
    guard l.shape != r.shape else { return (l, r) }
    guard let shape = commonShape(l.shape, r.shape) else {
      l.trace.fail("\(l.type) and \(r.type) have no shape in common")
      return (l.poisoned, r.poisoned)
    }
    return (l.broadcast(to: shape), r.broadcast(to: shape))
  }

  /// Repeats the axes that are missing in front or have extent 1.
  public func broadcast(to wanted: [Int]) -> Tensor {
    guard shape != wanted else { return self }
    guard trace.require(
      Tensor.commonShape(shape, wanted) == wanted, "\(type) cannot be broadcast to \(wanted)")
    else { return trace.poisoned(type.with(shape: wanted)) }
    let missing = wanted.count - rank
    let repeated = wanted.indices.filter { $0 < missing || (shape[$0 - missing] == 1 && wanted[$0] != 1) }
    let kept = wanted.indices.filter { !repeated.contains($0) }.map { wanted[$0] }
    return trace.emit(Broadcast(axes: repeated, shape: wanted), reshaped(kept))
  }

  private static func commonShape(_ l: [Int], _ r: [Int]) -> [Int]? {
    let rank = Swift.max(l.count, r.count)
    let left = [Int](repeating: 1, count: rank - l.count) + l
    let right = [Int](repeating: 1, count: rank - r.count) + r
    var shape: [Int] = []
    for (a, b) in zip(left, right) {
      guard a == b || a == 1 || b == 1 else { return nil }
      shape.append(a == 1 ? b : a)
    }
    return shape
  }
}
