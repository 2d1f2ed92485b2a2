extension Parser {
  mutating func bracketedPosition() throws(Diagnostic) -> Position {
    try expect(.openBracket)
    let position = try position()
    try expect(.closeBracket)
    return position
  }

  /// `4*i0 + (i1 + 3) / 8 - 1`
  mutating func position() throws(Diagnostic) -> Position {
    let first = peek
    var sum = accept(.minus) ? try multiple(try positionTerm(), by: -1, at: first) : try positionTerm()
    while peek.kind == .mark(.plus) || peek.kind == .mark(.minus) {
      let token = advance()
      var term = try positionTerm()
      if token.kind == .mark(.minus) { term = try multiple(term, by: -1, at: token) }
      guard let a = sum.weight, let b = term.weight, a + b <= Position.weightLimit else { throw tooLarge(token) }
      sum = sum + term
    }
    return sum
  }

  private mutating func positionTerm() throws(Diagnostic) -> Position {
    var left = try positionFactor()
    while case .mark(let mark) = peek.kind, mark == .times || mark == .slash || mark == .percent {
      let token = advance()
      if mark == .times {
        let right = try positionFactor()
        if let constant = right.asConstant {
          left = try multiple(left, by: constant, at: token)
        } else if let constant = left.asConstant {
          left = try multiple(right, by: constant, at: token)
        } else {
          throw error("a position is multiplied by constants only", at: token)
        }
        continue
      }
      let number = peek
      let divisor = try integer("a constant")
      guard divisor > 0 else { throw error("a position is divided by positive constants only", at: number) }
      guard left.weight != nil, divisor <= Position.weightLimit else { throw tooLarge(number) }
      left = mark == .slash ? left / divisor : left % divisor
    }
    return left
  }

  private mutating func positionFactor() throws(Diagnostic) -> Position {
    let token = peek
    switch token.kind {
    case .number: return try checked(Position(try integer("a constant without a type")), at: token)
    case .word(let name):
      advance()
      switch try binding(name, at: token) {
      case .loop(let loop): return try checked(Position(loop), at: token)
      case .variable(let variable):
        guard variable.type == .i32 || variable.type == .i64 else {
          throw error("'\(name)' is \(variable.type.rawValue), a position wants an integer", at: token)
        }
        return Position(variable)
      }
    case .mark(.open):
      advance()
      let inner = try nested { parser throws(Diagnostic) in try parser.position() }
      try expect(.close)
      return inner
    case .string, .value, .symbol, .mark, .end: throw unexpected("a position")
    }
  }

  private func multiple(_ position: Position, by factor: Int, at token: Token) throws(Diagnostic) -> Position {
    guard let weight = position.weight, factor != .min else { throw tooLarge(token) }
    let (product, overflow) = weight.multipliedReportingOverflow(by: abs(factor))
    guard !overflow, product <= Position.weightLimit else { throw tooLarge(token) }
    return position * factor
  }

  private func checked(_ position: Position, at token: Token) throws(Diagnostic) -> Position {
    guard position.weight != nil else { throw tooLarge(token) }
    return position
  }

  private func tooLarge(_ token: Token) -> Diagnostic { error("the position may become larger than 2^60", at: token) }
}

extension Position {
  /// Arithmetic on positions does not check for overflow; below this weight it cannot happen.
  fileprivate static let weightLimit = 1 << 60

  /// A bound on the magnitude of the position and of everything in it; `nil` beyond the limit.
  fileprivate var weight: Int? {
    var weight = constant == .min ? Int.max : abs(constant)
    for term in terms {
      guard let atom = term.atom.weight else { return nil }
      let (product, overflow) = atom.multipliedReportingOverflow(by: abs(term.coefficient))
      guard !overflow, product <= Self.weightLimit, weight <= Self.weightLimit else { return nil }
      weight += product
    }
    return weight <= Self.weightLimit ? weight : nil
  }
}

extension Position.Atom {
  fileprivate var weight: Int? {
    switch self {
    case .loop(let loop): loop.extent
    case .variable: 1
    case .quotient(let inner, _): inner.weight
    case .remainder(_, let by): by
    }
  }
}
