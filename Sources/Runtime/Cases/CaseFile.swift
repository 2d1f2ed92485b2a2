import IR

/// A golden case: a configuration, parameters and inputs, and the outputs and gradients that must follow from them.
///
/// One safetensors file. Its metadata holds `config`, `about`, `tolerance` and `optional`; its tensors are named
/// `param/…`, `input/…`, `output/…`, `cotangent/…`, `grad/param/…` and `grad/input/…`.
public struct CaseFile: Sendable {
  /// The file's name without folder and ending.
  public let name: String
  public let file: TensorFile
  public let config: JSON
  /// One sentence for people.
  public let about: String
  /// Full names of the tensors that a result may leave out.
  public let optional: Set<String>
  private let standard: Tolerance
  private let special: [String: Tolerance]

  public enum Group: String, Hashable, Sendable, CaseIterable {
    case parameter = "param/"
    case input = "input/"
    case output = "output/"
    case cotangent = "cotangent/"
    case parameterGradient = "grad/param/"
    case inputGradient = "grad/input/"
  }

  /// How far a tensor may be off: `absolute + relative · max|want|`.
  public struct Tolerance: Hashable, Sendable {
    public var absolute: Double
    public var relative: Double
    public init(absolute: Double, relative: Double) {
      self.absolute = absolute
      self.relative = relative
    }
  }

  public init(_ path: String) throws(Diagnostic) {
    file = try TensorFile(path)
    let base = path.split(separator: "/").last.map(String.init) ?? path
    name = base.hasSuffix(".safetensors") ? String(base.dropLast(12)) : base
    let metadata = file.metadata
    func part(_ key: String) throws(Diagnostic) -> JSON? {
      guard let text = metadata[key] else { return nil }
      return try JSON(parsing: text, file: "\(path) (\(key))")
    }
    guard let config = try part("config") else { throw Diagnostic("\(path): is no case: its metadata has no config") }
    self.config = config
    about = metadata["about"] ?? ""
    var optional: Set<String> = []
    for name in try part("optional")?.array() ?? [] { optional.insert(try name.string()) }
    self.optional = optional

    guard let tolerances = try part("tolerance") else {
      throw Diagnostic("\(path): is no case: its metadata has no tolerance")
    }
    let standard = try Self.tolerance(try tolerances.required("default"), otherwise: nil)
    var special: [String: Tolerance] = [:]
    for member in try tolerances.object().members where member.key != "default" {
      special[member.key] = try Self.tolerance(member.value, otherwise: standard)
    }
    (self.standard, self.special) = (standard, special)
    for entry in file.entries where !Group.allCases.contains(where: { entry.name.hasPrefix($0.rawValue) }) {
      throw Diagnostic("\(path): tensor '\(entry.name)' belongs to no part of a case")
    }
  }

  private static func tolerance(_ value: JSON, otherwise standard: Tolerance?) throws(Diagnostic) -> Tolerance {
    try value.rejectKeys(except: ["absolute", "relative"])
    guard let standard else {
      return Tolerance(
        absolute: try value.required("absolute").double(), relative: try value.required("relative").double())
    }
    return Tolerance(
      absolute: try value["absolute"]?.double() ?? standard.absolute,
      relative: try value["relative"]?.double() ?? standard.relative)
  }

  /// What the tensor with this full name (`output/logits`) is allowed.
  public func tolerance(for name: String) -> Tolerance { special[name] ?? standard }

  /// The tensors of a group by their names within it, in order of name.
  public func names(of group: Group) -> [String] {
    file.names.filter { $0.hasPrefix(group.rawValue) }.map { String($0.dropFirst(group.rawValue.count)) }.sorted()
  }

  public func type(of group: Group, _ name: String) -> TensorType? { file.entry(group.rawValue + name)?.type }

  public func tensor(_ group: Group, _ name: String) throws(Diagnostic) -> HostTensor {
    try file.tensor(group.rawValue + name)
  }

  public func literal(_ group: Group, _ name: String) throws(Diagnostic) -> Literal {
    try file.literal(group.rawValue + name)
  }

  /// Full names of all that a result is compared with.
  public var expected: [String] {
    [Group.output, .parameterGradient, .inputGradient].flatMap { group in
      names(of: group).map { group.rawValue + $0 }
    }.sorted()
  }
}
