/// Writes the stored properties of an op as attributes, through its `Codable` conformance.
///
/// `nil` and `false` are left out, a raw-value enum is a bare word, a `TensorType` is its text, an array is an array
/// and any other value a group of fields.
public enum AttributeEncoder {
  public static func attributes(of op: any TensorOp) -> [Attribute.Field] {
    let encoder = BoxEncoder()
    do {
      try op.encode(to: encoder)
    } catch {
      preconditionFailure("attributes of '\(op.name)' can be written as text: \(error)")
    }
    guard case .fields(let fields) = encoder.box.attribute else { return [] }
    let hidden = (type(of: op) as? any OpFamily.Type)?.nameAttribute
    return fields.filter { $0.name != hidden }
  }
}

/// What a container has collected so far; containers of one value share it.
private final class Box {
  private enum Content {
    case none
    case leaf(Attribute)
    case array([Box])
    case fields([(String, Box)])
  }
  private var content = Content.none

  var attribute: Attribute? {
    switch content {
    case .none: nil
    case .leaf(let attribute): attribute
    case .array(let boxes): .array(boxes.compactMap(\.attribute))
    case .fields(let fields):
      .fields(fields.compactMap { name, box in box.attribute.map { Attribute.Field(name, $0) } })
    }
  }

  var count: Int {
    if case .array(let boxes) = content { boxes.count } else { 0 }
  }

  func set(_ attribute: Attribute) { content = .leaf(attribute) }

  func becomeArray() {
    if case .array = content { return }
    content = .array([])
  }

  func becomeFields() {
    if case .fields = content { return }
    content = .fields([])
  }

  func append() -> Box {
    let box = Box()
    if case .array(let boxes) = content { content = .array(boxes + [box]) } else { content = .array([box]) }
    return box
  }

  func field(_ name: String) -> Box {
    let box = Box()
    if case .fields(let fields) = content {
      content = .fields(fields + [(name, box)])
    } else {
      content = .fields([(name, box)])
    }
    return box
  }

  /// Strings are written in quotes, except as the raw value of an enum.
  func encode<T: Encodable>(_ value: T, raw: Bool) throws {
    switch value {
    case let value as Bool: set(value ? .yes : .no)
    case let value as String: set(raw ? .word(value) : .string(value))
    case let value as Double: set(.float(value))
    case let value as Float: set(.float(value))
    case let value as any FixedWidthInteger: set(.number(String(describing: value)))
    case let value as TensorType: set(.type(value))
    default:
      let encoder = BoxEncoder(box: self)
      try value.encode(to: encoder)
      if attribute == nil { becomeFields() }
    }
  }
}

private struct BoxEncoder: Encoder {
  let box: Box
  var codingPath: [any CodingKey] { [] }
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  init(box: Box = Box()) { self.box = box }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    box.becomeFields()
    return KeyedEncodingContainer(Fields<Key>(box: box))
  }
  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    box.becomeArray()
    return Elements(box: box)
  }
  func singleValueContainer() -> any SingleValueEncodingContainer { Single(box: box) }
}

private struct Fields<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let box: Box
  var codingPath: [any CodingKey] { [] }

  func encodeNil(forKey key: Key) {}
  func encode(_ value: Bool, forKey key: Key) throws {
    if value { box.field(key.stringValue).set(.yes) }
  }
  func encodeIfPresent(_ value: Bool?, forKey key: Key) throws {
    if let value { box.field(key.stringValue).set(value ? .yes : .no) }
  }
  func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
    try box.field(key.stringValue).encode(value, raw: false)
  }
  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested>
  {
    BoxEncoder(box: box.field(key.stringValue)).container(keyedBy: type)
  }
  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    BoxEncoder(box: box.field(key.stringValue)).unkeyedContainer()
  }
  func superEncoder() -> any Encoder { BoxEncoder(box: box.field("super")) }
  func superEncoder(forKey key: Key) -> any Encoder { BoxEncoder(box: box.field(key.stringValue)) }
}

private struct Elements: UnkeyedEncodingContainer {
  let box: Box
  var codingPath: [any CodingKey] { [] }
  var count: Int { box.count }

  func encodeNil() { box.append().set(.word("nil")) }
  func encode<T: Encodable>(_ value: T) throws { try box.append().encode(value, raw: false) }
  func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
    BoxEncoder(box: box.append()).container(keyedBy: type)
  }
  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { BoxEncoder(box: box.append()).unkeyedContainer() }
  func superEncoder() -> any Encoder { BoxEncoder(box: box.append()) }
}

private struct Single: SingleValueEncodingContainer {
  let box: Box
  var codingPath: [any CodingKey] { [] }

  func encodeNil() { box.set(.word("nil")) }
  func encode<T: Encodable>(_ value: T) throws { try box.encode(value, raw: true) }
}
