import Foundation
import IR
import Passes
import Rewriting
import Runtime

extension CompileOptions {
  /// The folder of compiled kernels: `MILLRACE_CACHE`, or the user's cache folder; `nil` where that is `off`.
  public static var defaultCacheDirectory: String? { CacheDirectory.standard }
}

/// A function brought through the passes, with its kernels and its memory plan.
public struct LoweredProgram: Sendable {
  /// The function as it was given, row-sparse parameters and results as the two tensors `split-rows` makes of them.
  public let source: Function
  public let module: Module
  public let function: Function
  public let plan: MemoryPlan
  public let reports: [PassManager.Report]
  public let seconds: Double

  /// The number, among the module's kernels, of the one that each step of the plan runs.
  var stepKernels: [Int] {
    let numbers = Dictionary(uniqueKeysWithValues: module.kernels.enumerated().map { ($1.name, $0) })
    return plan.steps.map { numbers[$0.kernel]! }
  }
}

/// Brings one function of a module through all passes.
public func lower(
  _ module: Module, entry: String, options: CompileOptions = CompileOptions(), observers: [any PassObserver] = []
) throws(Diagnostic) -> LoweredProgram {
  guard let function = module.function(named: entry) else { throw Diagnostic("there is no function @\(entry)") }
  let clock = ContinuousClock()
  let start = clock.now
  var module = module.reachable(from: function)
  let passes = options.precision.passes.filter { $0.isRequired || !options.without.contains($0.name) }
  let checks: [any PassObserver] = options.verifiesEach ? [VerifyEach()] : []
  var manager = PassManager(passes, observers: checks + observers, limit: options.rewriteLimit)
  let reports = try manager.run(on: &module)
  guard let lowered = module.function(named: entry) else { throw Diagnostic("the passes lost @\(entry)") }
  let plan = try MemoryPlan(lowered, in: module)
  let program = LoweredProgram(
    source: try withoutRows(function), module: module, function: lowered, plan: plan, reports: reports,
    seconds: (clock.now - start).inSeconds)
  options.inspect?(program)
  return program
}

/// The function with nothing but ordinary tensors as parameters and results.
func withoutRows(_ function: Function) throws(Diagnostic) -> Function {
  guard (function.parameters + function.results).contains(where: { function.type(of: $0).rows != nil }) else { return function }
  var module = Module(functions: [function])
  var manager = PassManager([.splitRows])
  try manager.run(on: &module)
  return module.functions[0]
}

extension Module {
  /// A function with the regions it runs, and all kernels.
  public func reachable(from function: Function) -> Module {
    var names: Set<String> = [function.name]
    var pending = [function]
    while let next = pending.popLast() {
      for case let region as Region in next.operations.map(\.op) where names.insert(region.callee).inserted {
        if let callee = self.function(named: region.callee) { pending.append(callee) }
      }
    }
    return Module(functions: functions.filter { names.contains($0.name) }, kernels: kernels)
  }
}

extension Duration {
  /// The duration in seconds.
  public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
