/// A piece of a text, and the byte where it starts.
struct Token: Hashable {
  enum Kind: Hashable {
    /// A keyword, an op, an attribute, a loop or variable of a kernel.
    case word(String)
    /// Digits with an optional fraction, exponent and type (`4`, `1e-06`, `3i64`).
    case number(String, suffix: String)
    case string(String)
    /// `%name`: a value or a buffer.
    case value(Name)
    /// `@name`: a function or a kernel.
    case symbol(String)
    case mark(Mark)
    case end
  }

  enum Mark: String, CaseIterable {
    case arrow = "->", equal = "==", notEqual = "!=", lessOrEqual = "<=", greaterOrEqual = ">=", plusAssign = "+="
    case open = "(", close = ")", openBrace = "{", closeBrace = "}", openBracket = "[", closeBracket = "]"
    case comma = ",", colon = ":", semicolon = ";", assign = "=", less = "<", greater = ">"
    case plus = "+", minus = "-", times = "*", slash = "/", percent = "%"
  }

  /// What a text calls a value: a name, or a number that says nothing.
  enum Name: Hashable {
    case named(String)
    case numbered(String)
  }

  var kind: Kind
  var start: Int

  /// How a message names it.
  var description: String {
    switch kind {
    case .word(let text): "'\(text)'"
    case .number(let text, let suffix): "'\(text)\(suffix)'"
    case .string(let text): quoted(text)
    case .value(.named(let name)): "'\(written("%", name))'"
    case .value(.numbered(let number)): "'%\(number)'"
    case .symbol(let name): "'\(written("@", name))'"
    case .mark(let mark): "'\(mark.rawValue)'"
    case .end: "the end of the text"
    }
  }
}

/// `%name` or `@name`, in quotes where the name alone would not be read back.
func written(_ sigil: String, _ name: String) -> String {
  isPlain(name) ? sigil + name : sigil + quoted(name)
}

/// Names may hold letters, digits and `_`, after the first character also `.`, `/` and `-`; digits alone are a number.
private func isPlain(_ name: String) -> Bool {
  guard let first = name.utf8.first, isLetter(first) || isDigit(first), name.utf8.allSatisfy(isNameByte) else {
    return false
  }
  return !name.utf8.allSatisfy(isDigit) && !name.contains("//") && !name.contains("->")
}

func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(byte | 0x20) || byte == 0x5f }
func isNameByte(_ byte: UInt8) -> Bool {
  isLetter(byte) || isDigit(byte) || byte == 0x2e || byte == 0x2f || byte == 0x2d
}
