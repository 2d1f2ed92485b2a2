/// What a program takes: memory it moves, arithmetic it does, kernels it starts.
///
/// Bytes are those of distinct elements: an operation reads what it touches of an operand once and writes its results
/// once, however often its loops come by. Floating-point operations count one each, a multiply-add two.
public struct Cost: Hashable, Sendable {
  public var bytesRead: Int
  public var bytesWritten: Int
  public var flops: Int
  public var launches: Int

  public init(bytesRead: Int = 0, bytesWritten: Int = 0, flops: Int = 0, launches: Int = 0) {
    self.bytesRead = bytesRead
    self.bytesWritten = bytesWritten
    self.flops = flops
    self.launches = launches
  }

  public var bytes: Int { saturated(Double(bytesRead) + Double(bytesWritten)) }

  public static func + (l: Self, r: Self) -> Self {
    Self(
      bytesRead: saturated(Double(l.bytesRead) + Double(r.bytesRead)),
      bytesWritten: saturated(Double(l.bytesWritten) + Double(r.bytesWritten)),
      flops: saturated(Double(l.flops) + Double(r.flops)), launches: l.launches + r.launches)
  }
  public static func += (l: inout Self, r: Self) { l = l + r }
}

extension Cost: CustomStringConvertible {
  /// `moves 2.11 MB, 0.33 Mflop, 4 launches`
  public var description: String {
    let starts = launches == 1 ? "1 launch" : "\(launches) launches"
    return "moves \(Self.text(bytes, "B", scale: bytes)), \(Self.text(flops, "flop", scale: flops)), \(starts)"
  }

  /// What a change does to the memory moved, in one unit: `moves 2.11 MB -> 0.15 MB`.
  public static func change(from before: Cost, to after: Cost) -> String {
    let scale = max(before.bytes, after.bytes)
    return "moves \(text(before.bytes, "B", scale: scale)) -> \(text(after.bytes, "B", scale: scale))"
  }

  private static func text(_ count: Int, _ unit: String, scale: Int) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E"]
    var (prefix, size) = (0, 1.0)
    while Double(scale) >= size * 1000, prefix + 1 < prefixes.count {
      size *= 1000
      prefix += 1
    }
    if prefix == 0 { return "\(count) \(unit)" }
    let hundredths = Int((Double(count) / size * 100).rounded())
    let fraction = hundredths % 100
    return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) \(prefixes[prefix])\(unit)"
  }
}

/// Counts are added and multiplied as doubles, which cannot overflow; beyond 2^53 only their size matters.
func saturated(_ count: Double) -> Int { count < 0x1p62 ? Int(count.rounded()) : 1 << 62 }
