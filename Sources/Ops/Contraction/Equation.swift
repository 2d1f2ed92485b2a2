import IR

/// The labels of a `Contract`: `"bti,oi->bto"` taken apart.
public struct Equation: Hashable, Sendable {
  public let a: [Character], b: [Character], result: [Character]

  public init(_ text: String) throws(Violation) {
    // Byte by byte, for every pass asks every contraction.
    let bytes = Array(text.utf8)
    let (dash, head) = (UInt8(ascii: "-"), UInt8(ascii: ">"))
    guard let arrow = bytes.indices.dropLast().first(where: { bytes[$0] == dash && bytes[$0 + 1] == head }) else {
      throw Violation("wants an equation like 'ij,jk->ik', got '\(text)'")
    }
    let operands = bytes[..<arrow].split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    try require(operands.count == 2, "wants the labels of two operands and a comma between, got '\(text)'")
    a = try Equation.labels(operands[0], of: text)
    b = try Equation.labels(operands[1], of: text)
    result = try Equation.labels(bytes[(arrow + 2)...], of: text)
    for label in result {
      try require(a.contains(label) || b.contains(label), "has a label '\(label)' in its result and in no operand")
    }
  }

  private static func labels(_ bytes: ArraySlice<UInt8>, of text: String) throws(Violation) -> [Character] {
    let list = String(decoding: bytes, as: UTF8.self)
    var labels: [Character] = []
    var seen: UInt64 = 0
    for byte in bytes {
      let lower = byte | 0x20
      guard (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(lower) else {
        let other = list.first { !($0.isASCII && $0.isLetter) } ?? "?"
        throw Violation("wants single letters as labels, got '\(other)' in '\(text)'")
      }
      let bit: UInt64 = 1 << UInt64(byte - UInt8(ascii: "A"))
      try require(seen & bit == 0, "repeats a label in '\(list)'; diagonals are not supported")
      seen |= bit
      labels.append(Character(Unicode.Scalar(byte)))
    }
    return labels
  }

  /// The labels that the result lacks, in the order of the operands.
  public var summed: [Character] {
    a.filter { !result.contains($0) } + b.filter { !result.contains($0) && !a.contains($0) }
  }

  /// How many elements there are along each label.
  public func extents(_ a: TensorType, _ b: TensorType) -> [Character: Int] {
    let pairs = Array(zip(self.a, a.shape)) + Array(zip(self.b, b.shape))
    return Dictionary(pairs) { first, _ in first }
  }
}
