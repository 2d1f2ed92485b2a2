import IR

extension JSON {
  /// Reads one JSON value and nothing else: strict RFC 8259, no key twice, at most 64 levels deep.
  ///
  /// `maximumValues` bounds the memory a hostile text can make the parser take.
  public init(parsing text: some Sequence<UInt8>, file: String, maximumValues: Int = 1 << 20) throws(Diagnostic) {
    let bytes = Array(text)
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw Diagnostic("\(file): is not UTF-8 text")
    }
    var parser = JSONParser(bytes: bytes, file: file, valuesLeft: maximumValues)
    self = try parser.document()
  }

  public init(parsing text: String, file: String, maximumValues: Int = 1 << 20) throws(Diagnostic) {
    try self.init(parsing: text.utf8, file: file, maximumValues: maximumValues)
  }

  /// Reads a file that holds one JSON value, of at most `limit` bytes.
  public init(file: String, limit: Int = 1 << 24) throws(Diagnostic) {
    try self.init(parsing: try readFile(file, limit: limit), file: file)
  }
}

/// A recursive-descent parser over bytes that are known to be UTF-8.
private struct JSONParser {
  let bytes: [UInt8]
  let file: String
  var valuesLeft: Int
  var at = 0
  var line = 1
  var lineStart = 0
  /// Bytes of the line so far that begin no character.
  var continuations = 0
  var depth = 0

  static let maximumDepth = 64

  init(bytes: [UInt8], file: String, valuesLeft: Int) {
    self.bytes = bytes
    self.file = file
    self.valuesLeft = valuesLeft
  }

  var location: Location { Location(file: file, line: line, column: at - lineStart - continuations + 1) }

  func error(_ message: String, at place: Location? = nil) -> Diagnostic {
    let end = bytes[lineStart...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
    let shown = end - lineStart <= 200 ? String(decoding: bytes[lineStart..<end], as: UTF8.self) : nil
    let place = place ?? location
    return Diagnostic(message, at: place, line: place.line == line ? shown : nil)
  }

  /// The byte that comes next, as errors call it.
  var found: String {
    guard at < bytes.count else { return "the end of the text" }
    let byte = bytes[at]
    if byte < 0x20 || byte == 0x7f { return "byte \(byte)" }
    let end = bytes[(at + 1)...].firstIndex { $0 & 0xc0 != 0x80 } ?? bytes.endIndex
    return "'\(String(decoding: bytes[at..<end], as: UTF8.self))'"
  }

  mutating func document() throws(Diagnostic) -> JSON {
    let value = try value()
    guard at == bytes.count else { throw error("wants the end of the text, got \(found)") }
    return value
  }

  mutating func skipSpace() {
    while at < bytes.count {
      switch bytes[at] {
      case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): at += 1
      case UInt8(ascii: "\n"):
        at += 1
        line += 1
        lineStart = at
        continuations = 0
      default: return
      }
    }
  }

  mutating func take(_ byte: UInt8) -> Bool {
    guard at < bytes.count, bytes[at] == byte else { return false }
    at += 1
    return true
  }

  /// A value and the space on both of its sides.
  mutating func value() throws(Diagnostic) -> JSON {
    skipSpace()
    let place = location
    valuesLeft -= 1
    guard valuesLeft >= 0 else { throw error("the text has too many values") }
    guard at < bytes.count else { throw error("wants a value, got \(found)") }
    let content: JSON.Content
    switch bytes[at] {
    case UInt8(ascii: "{"): content = .object(try object())
    case UInt8(ascii: "["): content = .array(try array())
    case UInt8(ascii: "\""): content = .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): content = try number()
    case UInt8(ascii: "t") where takeWord("true"): content = .boolean(true)
    case UInt8(ascii: "f") where takeWord("false"): content = .boolean(false)
    case UInt8(ascii: "n") where takeWord("null"): content = .null
    default: throw error("wants a value, got \(found)")
    }
    skipSpace()
    return JSON(content, at: place)
  }

  mutating func takeWord(_ word: StaticString) -> Bool {
    let end = at + word.utf8CodeUnitCount
    let matches = end <= bytes.count && word.withUTF8Buffer { bytes[at..<end].elementsEqual($0) }
    if matches { at = end }
    return matches
  }

  mutating func descend() throws(Diagnostic) {
    depth += 1
    guard depth <= Self.maximumDepth else { throw error("is more than \(Self.maximumDepth) levels deep") }
    at += 1
    skipSpace()
  }

  mutating func array() throws(Diagnostic) -> [JSON] {
    try descend()
    defer { depth -= 1 }
    var elements: [JSON] = []
    if take(UInt8(ascii: "]")) { return elements }
    while true {
      elements.append(try value())
      if take(UInt8(ascii: "]")) { return elements }
      guard take(UInt8(ascii: ",")) else { throw error("wants ',' or ']', got \(found)") }
    }
  }

  mutating func object() throws(Diagnostic) -> JSON.Object {
    try descend()
    defer { depth -= 1 }
    var object = JSON.Object()
    if take(UInt8(ascii: "}")) { return object }
    while true {
      skipSpace()
      let place = location
      guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else { throw error("wants a key, got \(found)") }
      let key = try string()
      skipSpace()
      guard take(UInt8(ascii: ":")) else { throw error("wants ':', got \(found)") }
      let value = try value()
      guard object.append(key, value, at: place) else { throw error("key \"\(key)\" stands there twice", at: place) }
      if take(UInt8(ascii: "}")) { return object }
      guard take(UInt8(ascii: ",")) else { throw error("wants ',' or '}', got \(found)") }
    }
  }

  mutating func digits() -> Int {
    let start = at
    while at < bytes.count, bytes[at] >= UInt8(ascii: "0"), bytes[at] <= UInt8(ascii: "9") { at += 1 }
    return at - start
  }

  mutating func number() throws(Diagnostic) -> JSON.Content {
    let place = location
    let start = at
    let negative = take(UInt8(ascii: "-"))
    let leadingZero = at < bytes.count && bytes[at] == UInt8(ascii: "0")
    let count = digits()
    guard count > 0 else { throw error("wants a digit, got \(found)") }
    guard count == 1 || !leadingZero else { throw error("a number does not begin with 0", at: place) }
    var whole = true
    if take(UInt8(ascii: ".")) {
      whole = false
      guard digits() > 0 else { throw error("wants a digit, got \(found)") }
    }
    if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
      whole = false
      if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
      guard digits() > 0 else { throw error("wants a digit, got \(found)") }
    }
    guard at - start <= 1024 else { throw error("a number is at most 1024 characters long", at: place) }
    let text = String(decoding: bytes[start..<at], as: UTF8.self)
    if whole, let integer = Int64(text), !(negative && integer == 0) { return .integer(integer) }
    guard let value = Double(text), value.isFinite else { throw error("number \(text) is too large", at: place) }
    return .number(value)
  }

  mutating func string() throws(Diagnostic) -> String {
    let place = location
    at += 1
    var text: [UInt8] = []
    var run = at
    while at < bytes.count {
      let byte = bytes[at]
      if byte == UInt8(ascii: "\"") {
        let end = at
        at += 1
        if text.isEmpty { return String(decoding: bytes[run..<end], as: UTF8.self) }
        text += bytes[run..<end]
        return String(decoding: text, as: UTF8.self)
      }
      if byte == UInt8(ascii: "\\") {
        text += bytes[run..<at]
        text += try escape().utf8
        run = at
        continue
      }
      guard byte >= 0x20 else { throw error("a string holds no control characters, got \(found)") }
      if byte & 0xc0 == 0x80 { continuations += 1 }
      at += 1
    }
    throw error("the string that begins here does not end", at: place)
  }

  mutating func escape() throws(Diagnostic) -> String {
    let place = location
    at += 1
    guard at < bytes.count else { throw error("wants an escape, got \(found)") }
    let byte = bytes[at]
    at += 1
    switch byte {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{c}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default:
      at -= 1
      throw error("unknown escape \\\(found)", at: place)
    }
    var code = try hexadecimal()
    if code & 0xfc00 == 0xd800, at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
      bytes[at + 1] == UInt8(ascii: "u")
    {
      at += 2
      let low = try hexadecimal()
      guard low & 0xfc00 == 0xdc00 else { throw error("half of a surrogate pair", at: place) }
      code = 0x10000 + (code & 0x3ff) << 10 + (low & 0x3ff)
    }
    guard let scalar = Unicode.Scalar(code) else { throw error("half of a surrogate pair", at: place) }
    return String(Character(scalar))
  }

  mutating func hexadecimal() throws(Diagnostic) -> UInt32 {
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard at < bytes.count, let digit = Character(Unicode.Scalar(bytes[at])).hexDigitValue else {
        throw error("wants four hexadecimal digits, got \(found)")
      }
      code = code << 4 | UInt32(digit)
      at += 1
    }
    return code
  }
}
