import Foundation
import IR

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): 128 random bits of a counter and a key.
enum Philox {
  static let multipliers: (UInt64, UInt64) = (0xd251_1f53, 0xcd9e_8d57)
  /// What the two halves of the key grow by each round.
  static let increments: (UInt32, UInt32) = (0x9e37_79b9, 0xbb67_ae85)
  static let rounds = 10

  /// The four words of a block; the counter is 64 bits wide here, the rest is zero.
  static func block(_ counter: Int, key: Int64) -> [UInt32] {
    let counter = UInt64(counter)
    var x = [UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32), 0, 0]
    return block(&x, key: (UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32)))
  }

  static func block(_ x: inout [UInt32], key: (UInt32, UInt32)) -> [UInt32] {
    var (k0, k1) = key
    for _ in 0..<rounds {
      let (a, b) = (multipliers.0 * UInt64(x[0]), multipliers.1 * UInt64(x[2]))
      let (highA, highB) = (UInt32(a >> 32), UInt32(b >> 32))
      x = [highB ^ x[1] ^ k0, UInt32(truncatingIfNeeded: b), highA ^ x[3] ^ k1, UInt32(truncatingIfNeeded: a)]
      k0 &+= increments.0
      k1 &+= increments.1
    }
    return x
  }
}

extension Philox {
  /// The four words of a block as scalars, i64 in 0 ..< 2³².
  static func words(counter: Position, key: Scalar, _ source: any ElementSource) -> [Scalar] {
    let mask = Scalar.integer(0xffff_ffff, .i64)
    func low(_ x: Scalar) -> Scalar { .binary(.and, x, mask) }
    // The upper half of an unsigned product: the shift moves zeros in.
    func high(_ x: Scalar) -> Scalar { .binary(.shiftRight, x, .int(32)) }
    func xor(_ x: Scalar, _ y: Scalar) -> Scalar { .binary(.xor, x, y) }
    /// The value under a name of its own: each is used twice, and written out the tree would double every round.
    func named(_ x: Scalar) -> Scalar { .position(source.position(x)) }

    let (a, b) = (Scalar.integer(Int64(multipliers.0), .i64), Scalar.integer(Int64(multipliers.1), .i64))
    let count = Scalar.position(counter)
    var x = [low(count), high(count), .int(0), .int(0)]
    let wholeKey = named(key)
    let (k0, k1) = (named(low(wholeKey)), named(high(wholeKey)))
    for round in 0..<rounds {
      func roundKey(_ key: Scalar, _ increment: UInt32) -> Scalar {
        let grown = Int64(UInt32(truncatingIfNeeded: round) &* increment)
        return round == 0 ? key : low(.binary(.add, key, .integer(grown, .i64)))
      }
      let p = named(.binary(.multiply, a, x[0])), q = named(.binary(.multiply, b, x[2]))
      let y0 = xor(xor(high(q), x[1]), roundKey(k0, increments.0))
      let y2 = xor(xor(high(p), x[3]), roundKey(k1, increments.1))
      x = [named(y0), low(q), named(y2), low(p)]
    }
    return x
  }
}

extension Scalar {
  /// One of some values, by number.
  static func pick(_ values: [Scalar], _ number: Position) -> Scalar {
    if let constant = number.asConstant { return values[constant] }
    var result = values[values.count - 1]
    for (index, value) in values.enumerated().dropLast().reversed() {
      result = .select(.compare(.equal, .position(number), .int(index)), value, result)
    }
    return result
  }

  /// 32 bits as a number in 0 ..< 1 that f32 can hold.
  fileprivate var upperBits: Scalar { .binary(.shiftRight, self, .int(8)) }
  var asUniform: Scalar { .binary(.multiply, .convert(upperBits, .f32), .float(0x1p-24)) }
}

extension Random {
  /// √(−2 log(1 − u)) · cos 2πv, or sin for the second of a pair.
  static func normal(_ uniform: [Double], lane: Int) -> Double {
    let (u, v) = (uniform[lane / 2 * 2], uniform[lane / 2 * 2 + 1])
    let radius = (-2 * log(1 - u)).squareRoot()
    return radius * (lane % 2 == 0 ? cos(2 * Double.pi * v) : sin(2 * Double.pi * v))
  }
}
