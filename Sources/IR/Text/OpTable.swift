/// The ops a text may name, each with how its attributes are read. IR knows no op: whoever parses brings the table.
public struct OpTable: Sendable {
  public typealias Decode = @Sendable (AttributeDecoder) throws(Violation) -> any TensorOp

  private var decoders: [String: Decode] = [:]

  public init() {}

  /// The table of the given types, each under the names its samples have.
  public init(_ types: [any TensorOp.Type]) {
    for type in types { add(type) }
  }

  /// Adds an op under every name its samples have.
  public mutating func add<Op: TensorOp>(_ type: Op.Type) {
    let ops = type.samples.map(\.op).filter { $0 is Op }
    for name in Set(ops.map(\.name)) { add(type, named: name) }
  }

  /// Adds an op under one name; its attributes are read through `Codable`, the one that names it from the name.
  public mutating func add<Op: TensorOp>(_ type: Op.Type, named name: String) {
    let hidden = (type as? any OpFamily.Type)?.nameAttribute
    add(name) { decoder throws(Violation) in
      guard let hidden else { return try decoder.decode(type) }
      return try AttributeDecoder(decoder.fields + [Attribute.Field(hidden, .word(name))]).decode(type)
    }
  }

  /// Adds a name with its own way to read attributes.
  public mutating func add(_ name: String, _ decode: @escaping Decode) {
    precondition(decoders[name] == nil, "op '\(name)' is in the table already")
    decoders[name] = decode
  }

  /// Every name, sorted.
  public var names: [String] { decoders.keys.sorted() }

  public func contains(_ name: String) -> Bool { decoders[name] != nil }

  /// The op of this name with these attributes.
  public func op(named name: String, _ attributes: [Attribute.Field]) throws(Violation) -> any TensorOp {
    guard let decode = decoders[name] else {
      let hint = didYouMean(name, among: names)
      throw Violation("no op is named '\(name)'\(hint)")
    }
    return try decode(AttributeDecoder(attributes))
  }
}

/// A family of ops that are one type, told apart by one attribute that is also the name: `tanh` is
/// `Unary(function: .tanh)` and prints without braces.
public protocol OpFamily: TensorOp {
  /// The stored property, a raw-value enum, that is written as the op's name.
  static var nameAttribute: String { get }
}
