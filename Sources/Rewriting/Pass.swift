import IR

/// A named change of a program. A pass is *required* when later passes cannot do without it (lowering), else optional.
public struct Pass: Sendable {
  public let name: String
  public let isRequired: Bool
  public let run: @Sendable (inout Module, inout PassContext) throws(Diagnostic) -> Void

  /// A pass over the whole module.
  public init(
    _ name: String, isRequired: Bool = false,
    module run: @escaping @Sendable (inout Module, inout PassContext) throws(Diagnostic) -> Void
  ) {
    self.name = name
    self.isRequired = isRequired
    self.run = run
  }

  /// A pass that changes each function by itself.
  public init(
    _ name: String, isRequired: Bool = false,
    function change: @escaping @Sendable (inout Function, inout PassContext) throws(Diagnostic) -> Void
  ) {
    self.init(name, isRequired: isRequired) { (module, context) throws(Diagnostic) in
      for index in module.functions.indices { try change(&module.functions[index], &context) }
    }
  }
}

/// What a pass may ask for and report while it runs.
public struct PassContext: Sendable {
  /// What was done, by name: `context.count("removed")`.
  public private(set) var counts: [String: Int] = [:]
  /// Why something was not done, with the place and the bytes it would have saved.
  public private(set) var refusals: [Refusal] = []
  /// Rewrites still allowed; a pass that counts asks `allows()` before each.
  public var remaining: Int

  public struct Refusal: Hashable, Sendable {
    public let what: String
    public let reason: String
    public let bytes: Int
    public let location: Location

    public init(what: String, reason: String, bytes: Int, at location: Location) {
      self.what = what
      self.reason = reason
      self.bytes = bytes
      self.location = location
    }
  }

  public init(limit: Int = .max) { remaining = limit }

  public mutating func count(_ name: String, by amount: Int = 1) { counts[name, default: 0] += amount }

  /// Whether one more rewrite may be made, and takes it off the limit.
  public mutating func allows() -> Bool {
    guard remaining > 0 else { return false }
    remaining -= 1
    return true
  }

  public mutating func refuse(_ what: String, _ reason: String, bytes: Int, at location: Location) {
    refuse(Refusal(what: what, reason: reason, bytes: bytes, at: location))
  }

  public mutating func refuse(_ refusal: Refusal) { refusals.append(refusal) }
}
