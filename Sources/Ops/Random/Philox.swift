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

extension Random {
  /// √(−2 log(1 − u)) · cos 2πv, or sin for the second of a pair.
  static func normal(_ uniform: [Double], lane: Int) -> Double {
    let (u, v) = (uniform[lane / 2 * 2], uniform[lane / 2 * 2 + 1])
    let radius = (-2 * log(1 - u)).squareRoot()
    return radius * (lane % 2 == 0 ? cos(2 * Double.pi * v) : sin(2 * Double.pi * v))
  }
}
