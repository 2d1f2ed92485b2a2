/// Cuts a text into tokens; comments run from `//` to the end of the line.
struct Lexer {
  let source: SourceText
  private var at = 0

  init(_ source: SourceText) { self.source = source }

  /// All tokens, the last one `.end`.
  static func tokens(of source: SourceText) throws(Diagnostic) -> [Token] {
    var lexer = Lexer(source)
    var tokens: [Token] = []
    repeat { tokens.append(try lexer.next()) } while tokens.last?.kind != .end
    return tokens
  }

  private var bytes: [UInt8] { source.bytes }
  private func byte(_ ahead: Int = 0) -> UInt8? { at + ahead < bytes.count ? bytes[at + ahead] : nil }

  private mutating func next() throws(Diagnostic) -> Token {
    skipBlanks()
    let start = at
    guard let first = byte() else { return Token(kind: .end, start: start) }
    return Token(kind: try kind(first), start: start)
  }

  private mutating func skipBlanks() {
    while let here = byte() {
      if here == 0x2f, byte(1) == 0x2f {
        while let inside = byte(), inside != 0x0a { at += 1 }
      } else if here == 0x20 || (0x09...0x0d).contains(here) {
        at += 1
      } else {
        return
      }
    }
  }

  private mutating func kind(_ first: UInt8) throws(Diagnostic) -> Token.Kind {
    if isLetter(first) { return .word(take { isLetter($0) || isDigit($0) }) }
    if isDigit(first) { return number() }
    switch first {
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "%") where startsName(1):
      at += 1
      return .value(try valueName())
    case UInt8(ascii: "@") where startsName(1):
      at += 1
      return .symbol(byte() == UInt8(ascii: "\"") ? try string() : name())
    default: return .mark(try mark())
    }
  }

  private func startsName(_ ahead: Int) -> Bool {
    guard let first = byte(ahead) else { return false }
    return isLetter(first) || isDigit(first) || first == UInt8(ascii: "\"")
  }

  private mutating func valueName() throws(Diagnostic) -> Token.Name {
    if byte() == UInt8(ascii: "\"") { return .named(try string()) }
    let name = name()
    return name.utf8.allSatisfy(isDigit) ? .numbered(name) : .named(name)
  }

  private mutating func take(while belongs: (UInt8) -> Bool) -> String {
    let start = at
    while let here = byte(), belongs(here) { at += 1 }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  /// A name ends before a comment and before an arrow.
  private mutating func name() -> String {
    let start = at
    while let here = byte(), isNameByte(here) {
      if here == 0x2f, byte(1) == 0x2f { break }
      if here == 0x2d, byte(1) == 0x3e { break }
      at += 1
    }
    return String(decoding: bytes[start..<at], as: UTF8.self)
  }

  private mutating func number() -> Token.Kind {
    var text = take(while: isDigit)
    if byte() == UInt8(ascii: "."), let digit = byte(1), isDigit(digit) {
      at += 1
      text += "." + take(while: isDigit)
    }
    if byte() == UInt8(ascii: "e") || byte() == UInt8(ascii: "E") {
      let signed = byte(1) == UInt8(ascii: "+") || byte(1) == UInt8(ascii: "-")
      if let digit = byte(signed ? 2 : 1), isDigit(digit) {
        text += "e" + (byte(1) == UInt8(ascii: "-") ? "-" : "")
        at += signed ? 2 : 1
        text += take(while: isDigit)
      }
    }
    return .number(text, suffix: take { isLetter($0) || isDigit($0) })
  }

  private mutating func mark() throws(Diagnostic) -> Token.Mark {
    for length in [2, 1] where at + length <= bytes.count {
      let text = String(decoding: bytes[at..<(at + length)], as: UTF8.self)
      if let mark = Token.Mark(rawValue: text) {
        at += length
        return mark
      }
    }
    let rest = String(decoding: bytes[at..<min(at + 4, bytes.count)], as: UTF8.self)
    throw source.diagnostic("a text has no use for \(quoted(rest.first.map(String.init) ?? ""))", at: at)
  }

  private mutating func string() throws(Diagnostic) -> String {
    let start = at
    at += 1
    var content: [UInt8] = []
    while let here = byte(), here != 0x0a {
      at += 1
      switch here {
      case UInt8(ascii: "\""): return String(decoding: content, as: UTF8.self)
      case UInt8(ascii: "\\"): content += try escape()
      default: content.append(here)
      }
    }
    throw source.diagnostic("the string does not end on its line", at: start)
  }

  private mutating func escape() throws(Diagnostic) -> [UInt8] {
    let start = at - 1
    let letter = byte()
    at += 1
    switch letter {
    case UInt8(ascii: "n"): return [0x0a]
    case UInt8(ascii: "t"): return [0x09]
    case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [bytes[at - 1]]
    case UInt8(ascii: "u") where byte() == UInt8(ascii: "{"):
      at += 1
      let digits = take { isDigit($0) || isLetter($0) }
      if byte() == UInt8(ascii: "}"), let code = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(code) {
        at += 1
        return Array(String(Character(scalar)).utf8)
      }
    default: break
    }
    throw source.diagnostic("a string may hold \\n, \\t, \\\", \\\\ and \\u{…}", at: start)
  }
}
