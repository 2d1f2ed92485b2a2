import IR
import Passes
import Rewriting

/// A program before the first pass and after each: snapshots, which cost nothing but what changed.
public struct Steps: Sendable {
  public let input: Module
  public private(set) var after: [(pass: String, module: Module)] = []
  public private(set) var reports: [PassManager.Report] = []

  public var output: Module { after.last?.module ?? input }

  public init(
    of module: Module, through passes: [Pass], observers: [any PassObserver] = [], limit: Int = .max
  ) throws(Diagnostic) {
    input = module
    var current = module
    let recorder = Recorder()
    var manager = PassManager(passes, observers: observers + [recorder], limit: limit)
    reports = try manager.run(on: &current)
    after = recorder.steps
  }

  /// The program as it stands after the last pass of a name; at the end for `nil`, before all passes for `input`.
  public func module(after name: String?) throws(Diagnostic) -> Module {
    guard let name else { return output }
    if name == "input" { return input }
    if let step = after.last(where: { $0.pass == name }) { return step.module }
    throw Diagnostic("no pass '\(name)' was run\(didYouMean(name, among: after.map(\.pass) + ["input"]))")
  }

  private final class Recorder: PassObserver {
    var steps: [(pass: String, module: Module)] = []
    func after(_ pass: Pass, before: Module, _ module: Module) throws(Diagnostic) { steps.append((pass.name, module)) }
  }
}
