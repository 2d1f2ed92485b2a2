import IR

/// A small seeded generator, so that every test run draws the same numbers (SplitMix64).
public struct Seeded: RandomNumberGenerator {
  private var state: UInt64
  public init(_ seed: UInt64) { state = seed }
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

extension Literal {
  /// Random elements: floats in -2 ..< 2, rounded to f32, integers in 0 ..< `integersBelow`, and row numbers from one
  /// below the first row to one beyond the last.
  public static func random(_ type: TensorType, integersBelow: Int64 = 5, using generator: inout Seeded) -> Literal {
    if type.dtype.isFloat {
      let ids = (0..<(type.rows ?? 0)).map { _ in Int64.random(in: -1...Int64(type.shape[0]), using: &generator) }
      let values = (0..<type.heldCount).map { _ in Double(Float.random(in: -2..<2, using: &generator)) }
      return Literal(type, ids: ids, values: values)
    }
    let bound = type.dtype == .bool ? 2 : integersBelow
    return Literal(type, integers: (0..<type.count).map { _ in Int64.random(in: 0..<bound, using: &generator) })
  }

  /// The largest difference of two tensors of the same shape, as a share of the largest element (at least 1).
  /// Infinite where only one of two elements is NaN, or both are infinite with different signs.
  public func difference(from other: Literal) -> Double {
    guard type.shape == other.type.shape, ids == other.ids else { return .infinity }
    var (largest, scale) = (0.0, 1.0)
    for (a, b) in zip(doubles, other.doubles) {
      if a == b || (a.isNaN && b.isNaN) { continue }
      guard a.isFinite, b.isFinite else { return .infinity }
      largest = max(largest, abs(a - b))
      scale = max(scale, abs(b))
    }
    return largest / scale
  }
}

extension Literal {
  /// A row-sparse tensor as the two dense ones that hold its row numbers and its rows; others as they are.
  public var parts: [Literal] {
    guard type.rows != nil else { return [self] }
    let values = TensorType(type.dtype, [ids.count] + type.shape.dropFirst())
    return [Literal(.i64(ids.count), integers: ids), Literal(values, floats: doubles)]
  }
}
