import IR

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The values a tensor of a new model starts from.
public enum Initial: Hashable, Sendable {
  case constant(Double)
  /// Normal with mean 0.
  case normal(_ deviation: Double)
  case uniform(_ low: Double, _ high: Double)
  /// Uniform in ±gain·√(6 / (inputs + outputs)).
  case xavier(inputs: Int, outputs: Int, gain: Double = 1)
  case values([Float])
  /// 1 where the row number, modulo the number of columns, is the column number; 0 elsewhere.
  case identity
  /// The numbers 0, 1, … in a random order.
  case permutation
  /// The numbers 0, 1, … in order.
  case counting
  /// Odd integers from 1 on, below a limit, each as likely.
  case oddIntegers(below: Int64)

  public static var zeros: Self { .constant(0) }
  public static var ones: Self { .constant(1) }

  /// How many values are given; `nil` if there are as many as it takes.
  var count: Int? {
    guard case .values(let values) = self else { return nil }
    return values.count
  }
}

/// The elements of a tensor in row-major order, as a model file holds them.
public enum TensorValues: Hashable, Sendable {
  case floats([Float])
  case integers([Int64])
}

extension Parameter {
  /// The start values of this tensor in a model made from `seed`.
  ///
  /// They depend on the seed and the tensor's name alone, so that another layer more or less changes nothing here.
  public func initialValues(seed: UInt64) -> TensorValues {
    var random = SplitMix(state: seed ^ fingerprint(of: name))
    return type.dtype.isFloat
      ? .floats(initial.floats(type.count, in: type, &random))
      : .integers(initial.integers(type, &random))
  }

  /// The same values piece by piece, in order, each with the number of its first element: a table of billions need not be
  /// held twice.
  public func forEachInitialPiece(
    seed: UInt64, _ body: (_ first: Int, TensorValues) throws(Diagnostic) -> Void
  ) throws(Diagnostic) {
    guard initial.isDrawnInOrder, type.dtype.isFloat else { return try body(0, initialValues(seed: seed)) }
    var random = SplitMix(state: seed ^ fingerprint(of: name))
    let size = 1 << 20
    for first in stride(from: 0, to: type.count, by: size) {
      try body(first, .floats(initial.floats(min(size, type.count - first), in: type, &random)))
    }
  }
}

extension Initial {
  /// Whether an element needs nothing but the random numbers that the elements before it have left.
  fileprivate var isDrawnInOrder: Bool {
    switch self {
    case .constant, .normal, .uniform, .xavier: true
    case .values, .identity, .permutation, .counting, .oddIntegers: false
    }
  }

  /// The next `count` elements; all of them, where the values are not drawn in order.
  fileprivate func floats(_ count: Int, in type: TensorType, _ random: inout SplitMix) -> [Float] {
    switch self {
    case .constant(let value): return [Float](repeating: Float(value), count: count)
    case .normal(let deviation): return (0..<count).map { _ in Float(deviation * random.normal()) }
    case .uniform(let low, let high): return (0..<count).map { _ in Float(low + (high - low) * random.unit()) }
    case .xavier(let inputs, let outputs, let gain):
      let bound = gain * (6 / Double(max(1, inputs + outputs))).squareRoot()
      return Initial.uniform(-bound, bound).floats(count, in: type, &random)
    case .values(let values): return values
    case .identity:
      let columns = type.shape.last ?? 1
      return (0..<count).map { place in (place / columns) % columns == place % columns ? 1 : 0 }
    case .permutation, .counting, .oddIntegers: return integers(type, &random).map { Float($0) }
    }
  }

  fileprivate func integers(_ type: TensorType, _ random: inout SplitMix) -> [Int64] {
    let numbers = (0..<type.count).map { Int64($0) }
    switch self {
    case .counting: return numbers
    case .permutation: return numbers.shuffled(using: &random)
    case .oddIntegers(let limit): return numbers.map { _ in Int64(random.next() % UInt64(max(1, limit / 2))) * 2 + 1 }
    case .constant, .normal, .uniform, .xavier, .values, .identity:
      return floats(type.count, in: type, &random).map { Int64(exactly: $0.rounded(.towardZero)) ?? 0 }
    }
  }
}

/// FNV-1a.
private func fingerprint(of text: String) -> UInt64 {
  text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

/// SplitMix64: the same numbers on every machine.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }

  /// Uniform in [0, 1).
  mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// Normal with mean 0 and deviation 1 (Box and Muller).
  mutating func normal() -> Double {
    let radius = (-2 * log(1 - unit())).squareRoot()
    return radius * cos(2 * .pi * unit())
  }
}
