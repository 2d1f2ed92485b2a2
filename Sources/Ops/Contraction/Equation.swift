import IR

/// The labels of a `Contract`: `"bti,oi->bto"` taken apart.
public struct Equation: Hashable, Sendable {
  public let a: [Character], b: [Character], result: [Character]

  public init(_ text: String) throws(Violation) {
    guard let arrow = text.firstRange(of: "->") else { throw Violation("wants an equation like 'ij,jk->ik', got '\(text)'") }
    let operands = text[..<arrow.lowerBound].split(separator: ",", omittingEmptySubsequences: false)
    try require(operands.count == 2, "wants the labels of two operands and a comma between, got '\(text)'")
    (a, b, result) = (Array(operands[0]), Array(operands[1]), Array(text[arrow.upperBound...]))
    for list in [a, b, result] {
      for label in list {
        try require(label.isASCII && label.isLetter, "wants single letters as labels, got '\(label)' in '\(text)'")
      }
      try require(Set(list).count == list.count, "repeats a label in '\(String(list))'; diagonals are not supported")
    }
    for label in result {
      try require(a.contains(label) || b.contains(label), "has a label '\(label)' in its result and in no operand")
    }
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
