/// The values of the function that is being read, by what the text calls them.
private struct Scope {
  var values: [Token.Name: (value: Value, token: Token)] = [:]
}

extension Parser {
  mutating func function() throws(Diagnostic) -> Function {
    let header = location(of: advance())
    var function = Function(name: try symbol())
    var scope = Scope()
    try parameters(of: &function, &scope)
    try expect(.arrow)
    let results = try declaredResults()
    try expect(.openBrace)
    while peek.kind != .word("return") {
      if peek.kind == .mark(.closeBrace) || peek.kind == .end { throw unexpected("an operation or 'return'") }
      try operation(&function, &scope)
    }
    let end = advance()
    places.functions.append((header, location(of: end)))
    try returned(&function, scope, results, at: end)
    try expect(.closeBrace)
    return function
  }

  private mutating func parameters(of function: inout Function, _ scope: inout Scope) throws(Diagnostic) {
    try expect(.open)
    if accept(.close) { return }
    repeat {
      let (name, token) = try valueName("a parameter")
      try expect(.colon)
      let value = function.addParameter(try type(), name: name.given)
      try define(name, value, at: token, &scope)
      if accept(word: "donates") {
        function.donations[function.parameters.count - 1] = try integer("the number of a result")
      }
    } while accept(.comma)
    guard accept(.close) else { throw unexpected("',' or ')'") }
  }

  /// `f32[4]`, or any number of types in parentheses, each with or without a name.
  private mutating func declaredResults() throws(Diagnostic) -> [(name: String, type: TensorType)] {
    guard peek.kind == .mark(.open) else { return [("", try type())] }
    return try list(.open, .close) { parser throws(Diagnostic) in
      guard case .value = parser.peek.kind else { return ("", try parser.type()) }
      let name = try parser.valueName("a result").name.given
      try parser.expect(.colon)
      return (name, try parser.type())
    }
  }

  private mutating func returned(
    _ function: inout Function, _ scope: Scope, _ results: [(name: String, type: TensorType)], at end: Token
  ) throws(Diagnostic) {
    if case .value = peek.kind {
      repeat {
        let token = peek
        let value = try use(scope)
        let number = function.results.count
        if number < results.count, function.type(of: value) != results[number].type {
          throw error(
            "result \(number) is declared as \(results[number].type), \(token.description) is \(function.type(of: value))",
            at: token)
        }
        function.results.append(value)
      } while accept(.comma)
    }
    guard function.results.count == results.count else {
      throw error("@\(function.name) declares \(results.count) results and returns \(function.results.count)", at: end)
    }
    if results.contains(where: { !$0.name.isEmpty }) { function.resultNames = results.map(\.name) }
  }

  private mutating func operation(_ function: inout Function, _ scope: inout Scope) throws(Diagnostic) {
    var names: [(name: Token.Name, token: Token)] = []
    if case .value = peek.kind {
      repeat { names.append(try valueName("a result")) } while accept(.comma)
      try expect(.assign)
    }
    let start = peek
    let name = try word("the name of an op")
    var callee: String?
    if name == "region" || name == "launch" { callee = try symbol() }
    var operands: [Value] = []
    if case .value = peek.kind {
      repeat { operands.append(try use(scope)) } while accept(.comma)
    }
    let attributes = peek.kind == .mark(.openBrace) ? try attributeFields() : []
    var types: [TensorType] = []
    if accept(.colon) {
      repeat { types.append(try type()) } while accept(.comma)
    }
    guard types.count == names.count else {
      throw error("'\(name)' has \(names.count) results and \(types.count) types", at: start)
    }
    let place = accept(word: "loc") ? try writtenLocation() : location(of: start)
    let op: any TensorOp
    if let callee {
      op = try call(name, callee, attributes, operands.map { function.type(of: $0) }, types, at: start)
    } else {
      op = try self.op(name, attributes, at: start)
    }
    var results: [Value] = []
    for ((name, token), type) in zip(names, types) {
      let value = function.addValue(type, name: name.given)
      try define(name, value, at: token, &scope)
      results.append(value)
    }
    function.operations.append(Operation(op, operands, results, at: place))
  }

  private func op(_ name: String, _ attributes: [Attribute.Field], at token: Token) throws(Diagnostic) -> any TensorOp {
    do {
      return try ops.op(named: name, attributes)
    } catch {
      throw self.error(ops.contains(name) ? "'\(name)' \(error)" : error.message, at: token)
    }
  }

  /// A region or a launch; the types of its operands and results are those the text gives them.
  private func call(
    _ name: String, _ callee: String, _ attributes: [Attribute.Field], _ parameters: [TensorType],
    _ results: [TensorType], at token: Token
  ) throws(Diagnostic) -> any TensorOp {
    do {
      let decoder = AttributeDecoder(attributes)
      if name == "launch" {
        _ = try decoder.decode(NoAttributes.self)
        return Launch(callee: callee, parameters: parameters, results: results)
      }
      let rows = try decoder.decode(RegionAttributes.self).rows
      return Region(callee: callee, rows: rows, parameters: parameters, results: results)
    } catch {
      throw self.error("'\(name)' \(error)", at: token)
    }
  }

  private struct NoAttributes: Decodable {}
  private struct RegionAttributes: Decodable { var rows: Int }

  /// `("file":12:3)`
  private mutating func writtenLocation() throws(Diagnostic) -> Location {
    try expect(.open)
    guard case .string(let file) = peek.kind else { throw unexpected("the name of a file in quotes") }
    advance()
    try expect(.colon)
    let line = try integer("a line")
    try expect(.colon)
    let column = try integer("a column")
    try expect(.close)
    return Location(file: file, line: line, column: column)
  }

  // MARK: Values

  private mutating func valueName(_ wanted: String) throws(Diagnostic) -> (name: Token.Name, token: Token) {
    guard case .value(let name) = peek.kind else { throw unexpected("\(wanted), such as '%x'") }
    return (name, advance())
  }

  private func define(_ name: Token.Name, _ value: Value, at token: Token, _ scope: inout Scope) throws(Diagnostic) {
    if let first = scope.values[name] {
      let note = Diagnostic.Note("first defined here", at: location(of: first.token))
      throw error("\(token.description) is defined twice", at: token, notes: [note])
    }
    scope.values[name] = (value, token)
  }

  private mutating func use(_ scope: Scope) throws(Diagnostic) -> Value {
    let token = peek
    let (name, _) = try valueName("a value")
    if let known = scope.values[name] { return known.value }
    var hint = ""
    if case .named(let text) = name {
      let names = scope.values.keys.map(\.given).filter { !$0.isEmpty }
      hint = didYouMean(text, among: names, sigil: "%")
    }
    throw error("\(token.description) is not defined before here\(hint)", at: token)
  }

  // MARK: Attributes

  private mutating func attributeFields() throws(Diagnostic) -> [Attribute.Field] {
    var names: Set<String> = []
    return try list(.openBrace, .closeBrace) { parser throws(Diagnostic) in
      let token = parser.peek
      let name = try parser.word("the name of an attribute")
      guard names.insert(name).inserted else { throw parser.error("attribute '\(name)' is given twice", at: token) }
      guard parser.accept(.assign) else { return Attribute.Field(name, .yes) }
      return Attribute.Field(name, try parser.nested { parser throws(Diagnostic) in try parser.attribute() })
    }
  }

  private mutating func attribute() throws(Diagnostic) -> Attribute {
    switch peek.kind {
    case .number(let text, suffix: ""):
      advance()
      return .number(text)
    case .mark(.minus):
      advance()
      switch peek.kind {
      case .number(let text, suffix: ""):
        advance()
        return .number("-" + text)
      case .word("inf"):
        advance()
        return .word("-inf")
      default: throw unexpected("a number")
      }
    case .string(let text):
      advance()
      return .string(text)
    case .mark(.openBracket):
      return .array(
        try list(.openBracket, .closeBracket) { parser throws(Diagnostic) in
          try parser.nested { parser throws(Diagnostic) in try parser.attribute() }
        })
    case .mark(.openBrace): return .fields(try attributeFields())
    case .word(let text):
      if following.kind == .mark(.openBracket) || following.kind == .mark(.less) { return .type(try type()) }
      advance()
      return .word(text)
    case .number, .value, .symbol, .mark, .end: throw unexpected("the value of an attribute")
    }
  }
}

extension Token.Name {
  /// What the value is called from now on: a number says nothing.
  var given: String {
    if case .named(let name) = self { name } else { "" }
  }
}
