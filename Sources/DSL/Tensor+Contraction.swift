import IR
import Ops

extension Tensor {
  /// A sum of products, written as an einsum: labels that the result lacks are summed.
  ///
  ///     alpha.contract(streams, "...ij,...id->...jd")
  ///
  /// `...` stands for the leading axes, as many as the first operand that has it leaves open; both have the same.
  public func contract(
    _ other: Tensor, _ equation: String, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) {
      guard let expanded = expand(equation, other) else { return poisoned }
      return trace.emit(Contract(expanded), self, other)
    }
  }

  /// x Wᵀ over the last axis; the weight is `[outputs, inputs]`.
  public func linear(
    _ weight: Tensor, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    contract(weight, "...i,oi->...o", file: file, line: line, column: column)
  }

  /// The equation with letters in the place of `...`.
  private func expand(_ equation: String, _ other: Tensor) -> String? {
    guard equation.contains("...") else { return equation }
    let sides = equation.split(separator: ">", maxSplits: 1).map(String.init)
    let operands = sides[0].dropLast().split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard trace.require(
      sides.count == 2 && operands.count == 2, "'\(equation)' is no equation of two operands and a result")
    else { return nil }
    var open = 0
    for (tensor, labels) in zip([self, other], operands) where labels.hasPrefix("...") {
      open = tensor.rank - (labels.count - 3)
      break
    }
    let used = Set(equation)
    let free = "abcdefghijklmnopqrstuvwxyz".filter { !used.contains($0) }
    guard trace.require((0...free.count).contains(open), "'\(equation)' does not fit \(type)") else { return nil }
    let letters = String(free.prefix(open))
    let expanded = operands.map { $0.hasPrefix("...") ? letters + $0.dropFirst(3) : $0 }
    let result = sides[1].hasPrefix("...") ? letters + sides[1].dropFirst(3) : sides[1]
    return "\(expanded[0]),\(expanded[1])->\(result)"
  }
}
