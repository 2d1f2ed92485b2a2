import IR

/// Runs a list of passes and lets observers look on.
public struct PassManager {
  public var passes: [Pass]
  public var observers: [any PassObserver]
  /// Rewrites allowed in all passes together; for bisecting.
  public var limit: Int

  public init(_ passes: [Pass], observers: [any PassObserver] = [], limit: Int = .max) {
    self.passes = passes
    self.observers = observers
    self.limit = limit
  }

  /// What one pass did.
  public struct Report: Sendable {
    public let pass: String
    public let seconds: Double
    public let counts: [String: Int]
    public let refusals: [PassContext.Refusal]
  }

  @discardableResult
  public mutating func run(on module: inout Module) throws(Diagnostic) -> [Report] {
    var reports: [Report] = []
    var remaining = limit
    for index in observers.indices { try observers[index].begin(module) }
    for pass in passes {
      var context = PassContext(limit: remaining)
      let before = module
      let clock = ContinuousClock()
      let start = clock.now
      do {
        try pass.run(&module, &context)
        for index in observers.indices { try observers[index].after(pass, before: before, module) }
      } catch {
        for index in observers.indices { observers[index].failed(pass, before: before, error) }
        throw error
      }
      let elapsed = (clock.now - start).components
      remaining = context.remaining
      reports.append(
        Report(
          pass: pass.name, seconds: Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18,
          counts: context.counts, refusals: context.refusals))
    }
    return reports
  }
}

/// Something that looks on while passes run: dumps, verification, reproducers. Passes notice nothing of it.
public protocol PassObserver {
  mutating func begin(_ module: Module) throws(Diagnostic)
  mutating func after(_ pass: Pass, before: Module, _ module: Module) throws(Diagnostic)
  mutating func failed(_ pass: Pass, before: Module, _ error: Diagnostic)
}

extension PassObserver {
  public mutating func begin(_ module: Module) throws(Diagnostic) {}
  public mutating func after(_ pass: Pass, before: Module, _ module: Module) throws(Diagnostic) {}
  public mutating func failed(_ pass: Pass, before: Module, _ error: Diagnostic) {}
}
