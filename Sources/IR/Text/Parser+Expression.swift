/// An expression and how deep it is: everything that walks over expressions recurses.
private struct Expression {
  static let depthLimit = 500
  var scalar: Scalar
  var depth: Int
}

extension Parser {
  /// An expression of a kernel.
  mutating func scalar() throws(Diagnostic) -> Scalar { try comparison().scalar }

  private func combine(_ parts: Expression..., at token: Token, _ scalar: Scalar) throws(Diagnostic) -> Expression {
    let depth = 1 + (parts.map(\.depth).max() ?? 0)
    guard depth <= Expression.depthLimit else {
      throw error("the expression is more than \(Expression.depthLimit) operations deep", at: token)
    }
    return Expression(scalar: scalar, depth: depth)
  }

  /// `a < b`; comparisons do not chain.
  private mutating func comparison() throws(Diagnostic) -> Expression {
    let left = try sum()
    guard case .mark(let mark) = peek.kind, let comparison = Comparison.allCases.first(where: { $0.sign == mark })
    else {
      return left
    }
    let token = advance()
    let right = try sum()
    return try combine(left, right, at: token, .compare(comparison, left.scalar, right.scalar))
  }

  private mutating func sum() throws(Diagnostic) -> Expression {
    var left = try term()
    while peek.kind == .mark(.plus) || peek.kind == .mark(.minus) {
      let function: BinaryFunction = peek.kind == .mark(.plus) ? .add : .subtract
      let token = advance()
      let right = try term()
      left = try combine(left, right, at: token, .binary(function, left.scalar, right.scalar))
    }
    return left
  }

  private mutating func term() throws(Diagnostic) -> Expression {
    var left = try primary()
    while peek.kind == .mark(.times) || peek.kind == .mark(.slash) {
      let function: BinaryFunction = peek.kind == .mark(.times) ? .multiply : .divide
      let token = advance()
      let right = try primary()
      left = try combine(left, right, at: token, .binary(function, left.scalar, right.scalar))
    }
    return left
  }

  private mutating func primary() throws(Diagnostic) -> Expression {
    let token = peek
    switch token.kind {
    case .number(let text, let suffix):
      advance()
      return Expression(scalar: try constant(text, suffix, at: token), depth: 0)
    case .mark(.minus):
      advance()
      if accept(word: "inf") { return Expression(scalar: .float(-.infinity), depth: 0) }
      guard case .number(let text, let suffix) = peek.kind else { throw unexpected("a number") }
      advance()
      return Expression(scalar: try constant("-" + text, suffix, at: token), depth: 0)
    case .mark(.open):
      advance()
      let inner = try nested { parser throws(Diagnostic) in try parser.comparison() }
      try expect(.close)
      return inner
    case .mark(.openBracket): return Expression(scalar: .position(try bracketedPosition()), depth: 0)
    case .value: return try load()
    case .word(let name):
      advance()
      if peek.kind == .mark(.open) {
        return try nested { parser throws(Diagnostic) in try parser.call(name, at: token) }
      }
      return Expression(scalar: try named(name, at: token), depth: 0)
    case .string, .symbol, .mark, .end: throw unexpected("an expression")
    }
  }

  private func named(_ name: String, at token: Token) throws(Diagnostic) -> Scalar {
    switch name {
    case "true": return .boolean(true)
    case "false": return .boolean(false)
    case "inf": return .float(.infinity)
    case "nan": return .float(.nan)
    default: break
    }
    switch try binding(name, at: token) {
    case .variable(let variable): return .variable(variable)
    case .loop: throw error("the count of a loop is a position: write [\(name)]", at: token)
    }
  }

  /// `0.5`, `3i64`
  private func constant(_ text: String, _ suffix: String, at token: Token) throws(Diagnostic) -> Scalar {
    let whole = !text.contains(".") && !text.contains("e")
    guard let type = ScalarType(rawValue: suffix), type == .i32 || type == .i64, whole else {
      guard suffix.isEmpty else { throw error("'\(text)\(suffix)' is no constant: write 1.0, 1i32 or 1i64", at: token) }
      guard !whole else { throw error("'\(text)' wants a type: write \(text).0, \(text)i32 or \(text)i64", at: token) }
      guard let value = Double(text), value.isFinite else { throw error("\(text) is too large", at: token) }
      return .float(value)
    }
    guard let value = Int64(text), type == .i64 || Int32(exactly: value) != nil else {
      throw error("\(text) does not fit \(suffix)", at: token)
    }
    return .integer(value, type)
  }

  /// `%h[4*i0 + i1]`, or `%h[i0 if i0 < v1]`, which is zero where the condition is false.
  private mutating func load() throws(Diagnostic) -> Expression {
    let token = peek
    let buffer = try bufferID()
    try expect(.openBracket)
    let at = try position()
    let type = ScalarType(kernel.buffers[buffer.index].dtype)
    guard accept(word: "if") else {
      try expect(.closeBracket)
      return Expression(scalar: .load(buffer, type, at, guard: nil), depth: 0)
    }
    let condition = try nested { parser throws(Diagnostic) in try parser.comparison() }
    try expect(.closeBracket)
    return try combine(condition, at: token, .load(buffer, type, at, guard: condition.scalar))
  }

  private static let functions =
    UnaryFunction.allCases.map(\.rawValue) + BinaryFunction.allCases.map(\.rawValue)
    + ["select", "fma", "convert", "bitcast", "round"]

  private mutating func call(_ name: String, at token: Token) throws(Diagnostic) -> Expression {
    try expect(.open)
    let first = try comparison()
    let result: Expression
    if let function = UnaryFunction(rawValue: name) {
      result = try combine(first, at: token, .unary(function, first.scalar))
    } else if let function = BinaryFunction(rawValue: name) {
      let second = try argument()
      result = try combine(first, second, at: token, .binary(function, first.scalar, second.scalar))
    } else {
      switch name {
      case "select", "fma":
        let (second, third) = (try argument(), try argument())
        let scalar: Scalar =
          name == "fma"
          ? .fusedMultiplyAdd(first.scalar, second.scalar, third.scalar)
          : .select(first.scalar, second.scalar, third.scalar)
        result = try combine(first, second, third, at: token, scalar)
      case "convert", "bitcast":
        try expect(.comma)
        let type = try scalarType()
        result = try combine(
          first, at: token, name == "convert" ? .convert(first.scalar, type) : .bitcast(first.scalar, type))
      case "round":
        try expect(.comma)
        result = try combine(first, at: token, .round(first.scalar, try dtype()))
      default:
        let hint = didYouMean(name, among: Self.functions)
        throw error("no function is named '\(name)'\(hint)", at: token)
      }
    }
    try expect(.close)
    return result
  }

  private mutating func argument() throws(Diagnostic) -> Expression {
    try expect(.comma)
    return try comparison()
  }
}
