import IR
import Ops

extension Tensor {
  /// This tensor moved `steps` places on along an axis: what falls off its end is lost, `filler` comes in at its start.
  func delayed(_ steps: Int, axis: Int = 1, filler: Int = 0) -> Tensor {
    let length = extent(axis)
    guard steps > 0 else { return self }
    guard steps < length else { return constant(Double(filler)) }
    // Zeros are what comes in, so another filler is taken off before and put back after.
    let kept = slice(0..<length - steps, axis: axis)
    guard filler != 0 else { return kept.padded(axis: axis, low: steps) }
    return (kept - Double(filler)).padded(axis: axis, low: steps) + Double(filler)
  }

  /// Of tokens `[batch, length]`, the token at each position and those up to `count - 1` places before it:
  ///
  ///     z₀ = x_t        zⱼ = x_{t−j}
  ///
  /// 0 before the sequence, for a negative token, and for one of another document. A `boundary` token ends a document and
  /// belongs to it; without one the sequence is a document.
  func history(_ count: Int, boundary: Int? = nil) -> [Tensor] {
    let document = boundary.map { (self .== Double($0)).cast(to: .i64).cumulativeSum(axis: 1, exclusive: true) }
    return (0..<count).map { place in
      let past = delayed(place).maximum(0)
      guard let document, place > 0 else { return past }
      return (document .== document.delayed(place)).select(past, else: 0)
    }
  }

  /// Σⱼ history[j] · weights[j], of integers that wrap around at 64 bits.
  static func polynomial(_ history: [Tensor], _ weights: [Int64]) -> Tensor? {
    var sum: Tensor?
    for (past, weight) in zip(history, weights) {
      let term = weight == 1 ? past : past * past.constant(integer: weight)
      sum = sum.map { $0 + term } ?? term
    }
    return sum
  }

  /// A tensor of one integer throughout, of this tensor's type.
  func constant(integer: Int64) -> Tensor { trace.emit(Constant(integer: integer, type)) }
}

/// Arithmetic of row numbers, done while a model is traced.
enum Modular {
  /// 1, base, base², … modulo `modulus`: with them `Σ xⱼ · powers[j] mod modulus` is that of the powers themselves, and
  /// nothing grows beyond `count · x · modulus`.
  static func powers(of base: Int, count: Int, modulo modulus: Int) -> [Int64] {
    var powers: [Int64] = []
    var power = 1 % modulus
    for _ in 0..<count {
      powers.append(Int64(power))
      power = modulus.dividingFullWidth(power.multipliedFullWidth(by: base % modulus)).remainder
    }
    return powers
  }

  /// 1, base, base², … as signed 64-bit integers that wrap around.
  static func wrappingPowers(of base: Int, count: Int) -> [Int64] {
    var powers: [Int64] = []
    var power: Int64 = 1
    for _ in 0..<count {
      powers.append(power)
      power = power &* Int64(base)
    }
    return powers
  }

  /// The `count` smallest primes that are at least `start`.
  static func primes(from start: Int, count: Int) -> [Int] {
    var primes: [Int] = []
    var number = max(2, start)
    while primes.count < count {
      if isPrime(number) { primes.append(number) }
      number += 1
    }
    return primes
  }

  private static func isPrime(_ number: Int) -> Bool {
    var divisor = 2
    while divisor * divisor <= number {
      if number % divisor == 0 { return false }
      divisor += 1
    }
    return number > 1
  }
}
