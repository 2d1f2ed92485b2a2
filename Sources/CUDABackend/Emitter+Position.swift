import IR

extension StageEmitter {
  /// The C expression for a position: an `int` where its parts are known to fit, else a `long long`.
  mutating func index(_ position: Position) throws(Violation) -> String {
    isNarrow(position) ? try sum(position, wide: false) : try sum(position, wide: true)
  }

  /// The type of the counter of a loop.
  func counterType(_ loop: LoopVariable) -> String { loop.extent <= StageEmitter.largestNarrow ? "int" : "long long" }

  /// Leaves room for a step past the end.
  private static let largestNarrow = 1 << 30

  /// Whether every part and every sum of parts fits 32 bits.
  private func isNarrow(_ position: Position) -> Bool {
    var reach = abs(position.constant)
    for term in position.terms {
      switch term.atom {
      case .loop(let loop):
        if loop.extent > StageEmitter.largestNarrow { return false }
      case .quotient(let inner, let by), .remainder(let inner, let by):
        if by > StageEmitter.largestNarrow || !isNarrow(inner) { return false }
      case .variable: return false
      }
      guard let range = term.atom.range else { return false }
      reach += abs(term.coefficient) * max(abs(range.lowerBound), abs(range.upperBound))
    }
    return reach < 1 << 31
  }

  private mutating func sum(_ position: Position, wide: Bool) throws(Violation) -> String {
    var text = ""
    for term in position.terms {
      let (size, isNegative) = (abs(term.coefficient), term.coefficient < 0)
      let atom = try atom(term.atom, wide: wide)
      let product = size == 1 ? atom : "\(atom) * \(size)\(wide ? "LL" : "")"
      if text.isEmpty { text = isNegative ? "-\(product)" : product } else { text += isNegative ? " - \(product)" : " + \(product)" }
    }
    let constant = wide ? "\(abs(position.constant))LL" : "\(abs(position.constant))"
    if text.isEmpty { return position.constant < 0 ? "-\(constant)" : constant }
    if position.constant == 0 { return text }
    return text + (position.constant < 0 ? " - " : " + ") + constant
  }

  private mutating func atom(_ atom: Position.Atom, wide: Bool) throws(Violation) -> String {
    switch atom {
    case .loop(let loop): return wide && counterType(loop) == "int" ? "(long long)\(name(loop))" : name(loop)
    case .variable(let variable):
      try require(variable.type == .i32 || variable.type == .i64, "a position reads a variable that is no integer")
      return variable.type == .i32 ? "(long long)\(name(variable))" : name(variable)
    case .quotient(let inner, let by): return try divided(inner, by, "/", "floor_quotient", wide: wide)
    case .remainder(let inner, let by): return try divided(inner, by, "%", "floor_remainder", wide: wide)
    }
  }

  /// A quotient or remainder: the C operator where nothing is negative.
  private mutating func divided(
    _ inner: Position, _ by: Int, _ sign: String, _ function: String, wide: Bool
  ) throws(Violation) -> String {
    let isInnerWide = !isNarrow(inner)
    let dividend = try sum(inner, wide: isInnerWide)
    let isNatural = inner.range.map { $0.lowerBound >= 0 } ?? false
    let divisor = isInnerWide ? "\(by)LL" : "\(by)"
    let isOne = inner.terms.count == 1 && inner.constant == 0 && inner.terms[0].coefficient == 1
    let result = isNatural ? "\(isOne ? dividend : "(\(dividend))") \(sign) \(divisor)" : "\(function)(\(dividend), \(divisor))"
    return wide && !isInnerWide ? "(long long)(\(result))" : "(\(result))"
  }
}
