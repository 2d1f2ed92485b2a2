/// The upper half of a `Float`: 8 exponent and 7 fraction bits. Rounds to nearest, ties to even.
public struct BFloat16: Hashable, Sendable {
  public var bits: UInt16
  public init(bits: UInt16) { self.bits = bits }

  public init(_ value: Float) {
    let wide = value.bitPattern
    guard !value.isNaN else {
      bits = UInt16(truncatingIfNeeded: wide >> 16) | 0x40
      return
    }
    bits = UInt16(truncatingIfNeeded: (wide &+ 0x7fff &+ ((wide >> 16) & 1)) >> 16)
  }

  public var float: Float { Float(bitPattern: UInt32(bits) << 16) }
}

/// IEEE half precision, in software: Swift has no `Float16` on every x86 system.
public struct Half: Hashable, Sendable {
  public var bits: UInt16
  public init(bits: UInt16) { self.bits = bits }

  public init(_ value: Float) {
    let wide = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: (wide >> 16) & 0x8000)
    let magnitude = wide & 0x7fff_ffff
    if magnitude > 0x7f80_0000 {
      bits = sign | 0x7e00
    } else if magnitude >= 0x4780_0000 {  // 65536 and more, infinity too
      bits = sign | 0x7c00
    } else if magnitude < 0x3880_0000 {  // below the smallest normal half: the sum's fraction is the rounded result
      let shifted = Float(bitPattern: magnitude) + 0.5
      bits = sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3f00_0000)
    } else {
      let odd = (magnitude >> 13) & 1
      bits = sign | UInt16(truncatingIfNeeded: (magnitude &- 0x3800_0000 &+ 0xfff &+ odd) >> 13)
    }
  }

  public var float: Float {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 0x1f
    let fraction = UInt32(bits & 0x3ff)
    switch exponent {
    case 0: return (sign == 0 ? 1 : -1) * Float(fraction) * 0x1p-24
    case 31: return Float(bitPattern: sign | 0x7f80_0000 | fraction << 13)
    default: return Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}
