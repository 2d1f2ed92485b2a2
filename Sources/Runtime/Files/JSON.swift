import IR

/// A JSON value that knows where it stands in its file, so that a wrong one can be shown there.
///
/// Objects keep the order of their keys. Two values are equal if they say the same, wherever they stand.
public struct JSON: Sendable {
  public indirect enum Content: Hashable, Sendable {
    case null
    case boolean(Bool)
    /// A number without fraction and exponent that fits.
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object(Object)
  }

  public var content: Content
  public var location: Location

  public init(_ content: Content, at location: Location = .unknown) {
    self.content = content
    self.location = location
  }

  /// Keys and values in the order of the text; every key once.
  public struct Object: Sendable {
    public struct Member: Hashable, Sendable {
      public let key: String
      public var value: JSON
      public let location: Location
    }
    public private(set) var members: [Member] = []
    /// Where each key stands; empty while there are few.
    private var numbers: [String: Int] = [:]

    public init() {}

    private func number(_ key: String) -> Int? {
      numbers.isEmpty ? members.firstIndex { $0.key == key } : numbers[key]
    }
    public subscript(key: String) -> JSON? { number(key).map { members[$0].value } }
    public func member(_ key: String) -> Member? { number(key).map { members[$0] } }
    public var keys: [String] { members.map(\.key) }

    /// Adds a member, or replaces the value of the one there is.
    public mutating func set(_ key: String, _ value: JSON) {
      if let number = number(key) {
        members[number].value = value
      } else {
        _ = append(key, value, at: .unknown)
      }
    }

    /// Adds a member, unless there is one with that key.
    mutating func append(_ key: String, _ value: JSON, at location: Location) -> Bool {
      guard number(key) == nil else { return false }
      members.append(Member(key: key, value: value, location: location))
      if !numbers.isEmpty {
        numbers[key] = members.count - 1
      } else if members.count > 8 {
        numbers = Dictionary(uniqueKeysWithValues: members.enumerated().map { ($1.key, $0) })
      }
      return true
    }
  }
}

extension JSON: Hashable {
  public static func == (l: Self, r: Self) -> Bool { l.content == r.content }
  public func hash(into hasher: inout Hasher) { hasher.combine(content) }
}

extension JSON.Object: Hashable {
  public static func == (l: Self, r: Self) -> Bool {
    l.members.count == r.members.count && l.members.allSatisfy { r[$0.key] == $0.value }
  }
  public func hash(into hasher: inout Hasher) { hasher.combine(Set(members.map(\.key))) }
}

// MARK: Reading values

extension JSON {
  /// What the value is, as errors call it.
  public var kind: String {
    switch content {
    case .null: "null"
    case .boolean(let value): value ? "true" : "false"
    case .integer(let value): "\(value)"
    case .number(let value): "\(value)"
    case .string(let value): value.utf8.count <= 60 ? "\"\(value)\"" : "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }

  private func wanted(_ what: String) -> Diagnostic { Diagnostic("wants \(what), got \(kind)", at: location) }

  public func boolean() throws(Diagnostic) -> Bool {
    guard case .boolean(let value) = content else { throw wanted("true or false") }
    return value
  }

  /// An integer; a number such as `4.0` counts.
  public func integer() throws(Diagnostic) -> Int64 {
    switch content {
    case .integer(let value): return value
    case .number(let value):
      if let exact = Int64(exactly: value) { return exact }
    default: break
    }
    throw wanted("an integer")
  }

  public func int() throws(Diagnostic) -> Int { Int(try integer()) }

  public func double() throws(Diagnostic) -> Double {
    switch content {
    case .integer(let value): return Double(value)
    case .number(let value): return value
    default: throw wanted("a number")
    }
  }

  public func string() throws(Diagnostic) -> String {
    guard case .string(let value) = content else { throw wanted("a string") }
    return value
  }

  public func array() throws(Diagnostic) -> [JSON] {
    guard case .array(let value) = content else { throw wanted("a list") }
    return value
  }

  public func object() throws(Diagnostic) -> Object {
    guard case .object(let value) = content else { throw wanted("an object") }
    return value
  }

  public var isNull: Bool { content == .null }

  /// The member with this key; `nil` in an object without it, and in anything that is no object.
  public subscript(key: String) -> JSON? {
    guard case .object(let object) = content else { return nil }
    return object[key]
  }

  /// The member with this key of what must be an object that has it.
  public func required(_ key: String) throws(Diagnostic) -> JSON {
    guard let member = try object()[key] else { throw Diagnostic("wants a key \"\(key)\"", at: location) }
    return member
  }

  /// Throws at the first key that is not one of `keys`.
  public func rejectKeys(except keys: some Collection<String>) throws(Diagnostic) {
    for member in try object().members where !keys.contains(member.key) {
      let known = keys.sorted().joined(separator: ", ")
      throw Diagnostic("unknown key \"\(member.key)\"; there are \(known)", at: member.location)
    }
  }
}

// MARK: Writing values down in Swift

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByNilLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  public init(stringLiteral value: String) { self.init(.string(value)) }
  public init(integerLiteral value: Int64) { self.init(.integer(value)) }
  public init(floatLiteral value: Double) { self.init(.number(value)) }
  public init(booleanLiteral value: Bool) { self.init(.boolean(value)) }
  public init(nilLiteral: ()) { self.init(.null) }
  public init(arrayLiteral elements: JSON...) { self.init(.array(elements)) }
  public typealias Key = String
  public init(dictionaryLiteral elements: (String, JSON)...) {
    var object = Object()
    for (key, value) in elements { object.set(key, value) }
    self.init(.object(object))
  }

  public static func string(_ value: String) -> JSON { JSON(.string(value)) }
  public static func integer(_ value: Int) -> JSON { JSON(.integer(Int64(value))) }
  public static func number(_ value: Double) -> JSON { JSON(.number(value)) }
  public static func boolean(_ value: Bool) -> JSON { JSON(.boolean(value)) }
  public static func array(_ values: [JSON]) -> JSON { JSON(.array(values)) }
  public static func object(_ object: Object) -> JSON { JSON(.object(object)) }
}
