/// Reads attributes into the stored properties of an op, through its `Codable` conformance; the inverse of
/// `AttributeEncoder`. A flag that is left out is `false`.
public struct AttributeDecoder {
  public let fields: [Attribute.Field]

  public init(_ fields: [Attribute.Field]) { self.fields = fields }

  /// The value, if every attribute it needs is there and no other.
  public func decode<Op: Decodable>(_ type: Op.Type) throws(Violation) -> Op {
    let source = Source(.fields(fields), at: "")
    do {
      let op = try Op(from: NodeDecoder(source: source))
      try source.requireAllRead()
      return op
    } catch let violation as Violation {
      throw violation
    } catch let error as DecodingError {
      throw Violation(message(of: error))
    } catch {
      throw Violation("\(error)")
    }
  }
}

private func message(of error: DecodingError) -> String {
  switch error {
  case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
    context.debugDescription
  case .keyNotFound(let key, _): "wants attribute '\(key.stringValue)'"
  @unknown default: "has attributes it cannot use"
  }
}

/// One attribute that is being read, and which of its fields have been asked for.
private final class Source {
  let attribute: Attribute
  /// The name it has in messages: `axes`, `window.low`.
  let path: String
  private var asked: Set<String> = []
  private var children: [Source] = []

  init(_ attribute: Attribute, at path: String) {
    self.attribute = attribute
    self.path = path
  }

  var fields: [Attribute.Field] {
    if case .fields(let fields) = attribute { fields } else { [] }
  }

  func field(_ name: String) -> Source? {
    asked.insert(name)
    guard let field = fields.first(where: { $0.name == name }) else { return nil }
    let child = Source(field.value, at: path.isEmpty ? name : "\(path).\(name)")
    children.append(child)
    return child
  }

  func element(_ number: Int, of elements: [Attribute]) -> Source {
    let child = Source(elements[number], at: "\(path)[\(number)]")
    children.append(child)
    return child
  }

  func missing(_ name: String) -> Violation {
    "wants attribute '\(path.isEmpty ? name : "\(path).\(name)")'"
  }

  func mismatch(_ wanted: String) -> Violation { "wants \(wanted) as attribute '\(path)', got \(attribute.kind)" }

  func requireAllRead() throws(Violation) {
    for field in fields where !asked.contains(field.name) {
      let hint = didYouMean(field.name, among: Array(asked))
      throw Violation("has no attribute '\(path.isEmpty ? field.name : "\(path).\(field.name)")'\(hint)")
    }
    for child in children { try child.requireAllRead() }
  }

  /// `raw`: asked for by an enum, whose raw value is a bare word.
  func decode<T: Decodable>(_ type: T.Type, raw: Bool) throws -> T {
    if let value = try leaf(type, raw: raw) {
      guard let value = value as? T else { preconditionFailure("a leaf is decoded as the type that was asked for") }
      return value
    }
    guard let words = type as? any CaseIterable.Type, type is any RawRepresentable.Type else {
      return try T(from: NodeDecoder(source: self))
    }
    do {
      return try T(from: NodeDecoder(source: self))
    } catch let error where error is DecodingError || !hasWord {
      throw mismatch("one of " + rawValues(words).joined(separator: ", "))
    }
  }

  private var hasWord: Bool {
    if case .word = attribute { true } else { false }
  }

  private func leaf(_ type: any Decodable.Type, raw: Bool) throws(Violation) -> (any Sendable)? {
    switch type {
    case is Bool.Type:
      guard attribute == .yes || attribute == .no else { throw mismatch("true or false") }
      return attribute == .yes
    case is String.Type:
      switch attribute {
      case .string(let text) where !raw: return text
      case .word(let text) where raw: return text
      default: throw mismatch(raw ? "a word" : "a string")
      }
    case is Double.Type: return try float(Double.self)
    case is Float.Type: return try float(Float.self)
    case let integer as any (FixedWidthInteger & Sendable).Type: return try self.integer(integer)
    case is TensorType.Type:
      guard case .type(let type) = attribute else { throw mismatch("a type") }
      return type
    default: return nil
    }
  }

  private func integer<I: FixedWidthInteger & Sendable>(_ type: I.Type) throws(Violation) -> I {
    guard case .number(let text) = attribute, let value = I(text) else { throw mismatch("an integer (\(I.self))") }
    return value
  }

  private func float<F: BinaryFloatingPoint & LosslessStringConvertible & Sendable>(_ type: F.Type) throws(Violation)
    -> F
  {
    switch attribute {
    case .number(let text):
      if let value = F(text), value.isFinite { return value }
    case .word("nan"): return .nan
    case .word("inf"): return .infinity
    case .word("-inf"): return -.infinity
    default: break
    }
    throw mismatch("a number")
  }
}

private func rawValues<C: CaseIterable>(_ type: C.Type) -> [String] {
  type.allCases.compactMap { ($0 as? any RawRepresentable).map { "\($0.rawValue)" } }
}

private struct NodeDecoder: Decoder {
  let source: Source
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .fields = source.attribute else { throw source.mismatch("a group in braces") }
    return KeyedDecodingContainer(Fields<Key>(source: source))
  }
  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .array(let elements) = source.attribute else { throw source.mismatch("an array") }
    return Elements(source: source, elements: elements)
  }
  func singleValueContainer() -> any SingleValueDecodingContainer { Single(source: source) }
}

private struct Fields<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let source: Source
  var codingPath: [any CodingKey] { [] }
  var allKeys: [Key] { source.fields.compactMap { Key(stringValue: $0.name) } }

  private func field(_ key: Key) throws -> Source {
    guard let field = source.field(key.stringValue) else { throw source.missing(key.stringValue) }
    return field
  }

  func contains(_ key: Key) -> Bool { source.field(key.stringValue) != nil }
  func decodeNil(forKey key: Key) -> Bool { !contains(key) }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool {
    try source.field(key.stringValue)?.decode(type, raw: false) ?? false
  }
  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try field(key).decode(type, raw: false) }
  func nestedContainer<N: CodingKey>(keyedBy type: N.Type, forKey key: Key) throws -> KeyedDecodingContainer<N> {
    try NodeDecoder(source: field(key)).container(keyedBy: type)
  }
  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try NodeDecoder(source: field(key)).unkeyedContainer()
  }
  func superDecoder() throws -> any Decoder {
    guard let field = source.field("super") else { throw source.missing("super") }
    return NodeDecoder(source: field)
  }
  func superDecoder(forKey key: Key) throws -> any Decoder { try NodeDecoder(source: field(key)) }
}

private struct Elements: UnkeyedDecodingContainer {
  let source: Source
  let elements: [Attribute]
  var currentIndex = 0
  var codingPath: [any CodingKey] { [] }
  var count: Int? { elements.count }
  var isAtEnd: Bool { currentIndex >= elements.count }

  private mutating func next() throws -> Source {
    guard !isAtEnd else { throw source.mismatch("more elements") }
    defer { currentIndex += 1 }
    return source.element(currentIndex, of: elements)
  }

  mutating func decodeNil() -> Bool {
    guard !isAtEnd, elements[currentIndex] == .word("nil") else { return false }
    currentIndex += 1
    return true
  }
  mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next().decode(type, raw: false) }
  mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
    try NodeDecoder(source: next()).container(keyedBy: type)
  }
  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try NodeDecoder(source: next()).unkeyedContainer()
  }
  mutating func superDecoder() throws -> any Decoder { NodeDecoder(source: try next()) }
}

private struct Single: SingleValueDecodingContainer {
  let source: Source
  var codingPath: [any CodingKey] { [] }

  func decodeNil() -> Bool { source.attribute == .word("nil") }
  func decode<T: Decodable>(_ type: T.Type) throws -> T { try source.decode(type, raw: true) }
}
