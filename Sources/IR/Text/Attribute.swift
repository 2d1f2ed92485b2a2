/// What stands in the braces after an op's operands: the value of one stored property.
public indirect enum Attribute: Hashable, Sendable {
  /// Digits as they stand in the text; what they mean is decided by the property's type.
  case number(String)
  /// An enum's case, `true`, `inf`.
  case word(String)
  case string(String)
  case type(TensorType)
  case array([Attribute])
  case fields([Field])

  public struct Field: Hashable, Sendable {
    public var name: String
    public var value: Attribute
    public init(_ name: String, _ value: Attribute) {
      self.name = name
      self.value = value
    }
  }

  static let yes = Attribute.word("true")
  static let no = Attribute.word("false")

  /// A number that reads back as exactly `value`.
  static func float<F: BinaryFloatingPoint & CustomStringConvertible>(_ value: F) -> Attribute {
    if value.isNaN { return .word("nan") }
    if value.isInfinite { return .word(value < 0 ? "-inf" : "inf") }
    return .number(value.description)
  }

  /// What kind of thing it is, for a message.
  var kind: String {
    switch self {
    case .number(let text): text
    case .word(let text): "'\(text)'"
    case .string(let text): quoted(text)
    case .type(let type): type.description
    case .array: "an array"
    case .fields: "a group in braces"
    }
  }
}

extension Attribute: CustomStringConvertible {
  public var description: String {
    switch self {
    case .number(let text), .word(let text): text
    case .string(let text): quoted(text)
    case .type(let type): type.description
    case .array(let elements): "[" + elements.map(\.description).joined(separator: ", ") + "]"
    case .fields(let fields): "{" + fields.map(\.description).joined(separator: ", ") + "}"
    }
  }
}

extension Attribute.Field: CustomStringConvertible {
  public var description: String { value == .yes ? name : "\(name) = \(value)" }
}

/// The text in quotes, with what a line or a quote could not hold written as `\n`, `\t`, `\"`, `\\` or `\u{…}`.
func quoted(_ text: String) -> String {
  var result = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": result += "\\\""
    case "\\": result += "\\\\"
    case "\n": result += "\\n"
    case "\t": result += "\\t"
    case _ where scalar.value < 0x20 || scalar.value == 0x7f:
      result += "\\u{\(String(scalar.value, radix: 16))}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result + "\""
}
