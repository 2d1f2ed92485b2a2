import IR

/// Verifies the program before the first pass and after each, and names the pass that broke it.
public struct VerifyEach: PassObserver {
  public init() {}

  public mutating func begin(_ module: Module) throws(Diagnostic) { try verify(module) }

  public mutating func after(_ pass: Pass, before: Module, _ module: Module) throws(Diagnostic) {
    do {
      try verify(module)
    } catch {
      var found = error
      found.message = "after '\(pass.name)' the program is wrong: \(error.message)"
      throw found
    }
  }
}
