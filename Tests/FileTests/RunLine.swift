import IR

/// What a `// run:` line asks for: `@f([1, 2], [[3]]) == [4], true`.
///
/// A tensor is written as nested lists, its type is the function's. `nan`, `inf` and `-inf` are numbers too.
struct RunLine {
  let function: Function
  let arguments: [Literal]
  let results: [Literal]

  init(_ text: String, in module: Module) throws {
    var reader = Reader(text)
    try reader.expect("@")
    let name = reader.word { $0 != "(" }
    guard let function = module.function(named: name) else { throw Diagnostic("there is no function @\(name)") }
    self.function = function
    try reader.expect("(")
    arguments = try Self.literals(of: function.parameters.map { function.type(of: $0) }, &reader)
    try reader.expect(")")
    try reader.expect("=")
    try reader.expect("=")
    results = try Self.literals(of: function.results.map { function.type(of: $0) }, &reader)
    try reader.expectEnd()
  }

  private static func literals(of types: [TensorType], _ reader: inout Reader) throws -> [Literal] {
    var literals: [Literal] = []
    for (number, type) in types.enumerated() {
      if number > 0 { try reader.expect(",") }
      var numbers: [Double] = []
      try reader.numbers(shape: type.shape[...], into: &numbers)
      literals.append(type.dtype.isFloat ? Literal(type, floats: numbers) : Literal(type, integers: numbers.map { Int64($0) }))
    }
    return literals
  }
}

private struct Reader {
  private var rest: Substring

  init(_ text: String) { rest = text[...] }

  private mutating func skipSpaces() { rest = rest.drop { $0 == " " } }

  mutating func expect(_ mark: Character) throws {
    skipSpaces()
    guard rest.first == mark else { throw Diagnostic("expected '\(mark)' before '\(rest)'") }
    rest.removeFirst()
  }

  mutating func expectEnd() throws {
    skipSpaces()
    guard rest.isEmpty else { throw Diagnostic("there is more: '\(rest)'") }
  }

  mutating func word(_ belongs: (Character) -> Bool) -> String {
    skipSpaces()
    let word = rest.prefix { belongs($0) }
    rest = rest.dropFirst(word.count)
    return String(word)
  }

  mutating func numbers(shape: ArraySlice<Int>, into numbers: inout [Double]) throws {
    guard let extent = shape.first else {
      let text = word { $0.isLetter || $0.isNumber || "+-.".contains($0) }
      switch text {
      case "true": numbers.append(1)
      case "false": numbers.append(0)
      default:
        guard let number = Double(text) else { throw Diagnostic("'\(text)' is no number") }
        numbers.append(number)
      }
      return
    }
    try expect("[")
    for element in 0..<extent {
      if element > 0 { try expect(",") }
      try self.numbers(shape: shape.dropFirst(), into: &numbers)
    }
    try expect("]")
  }
}
