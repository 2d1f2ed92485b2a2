import Compiler
import IR
import Runtime

/// A workload that is compiled, and has what it starts from.
final class Session {
  let program: WorkloadProgram
  let executable: any Executable
  /// Seconds of tracing and differentiation, and of compilation with nothing on disk.
  let (traceSeconds, compileSeconds): (Double, Double)
  private let workload: Workload
  private let compileOnce: () throws(Diagnostic) -> (any Executable, Double)
  private let renewals: [(parameter: Int, values: [HostTensor])]
  private var runs = 0

  init(_ bench: Bench, _ workload: Workload, cache: String?, inputs: String?) throws(Diagnostic) {
    self.workload = workload
    let clock = ContinuousClock()
    let start = clock.now
    let program = try workload.program(bench.size)
    traceSeconds = (clock.now - start).inSeconds
    var options = CompileOptions(threads: bench.threads, cacheDirectory: cache)
    options.precision = workload.precision
    compileOnce = { [options] () throws(Diagnostic) in
      let start = clock.now
      let module = Module(functions: [program.function])
      let executable = try compile(module, entry: program.function.name, for: bench.device, options: options)
      return (executable, (clock.now - start).inSeconds)
    }
    self.program = program
    (executable, compileSeconds) = try compileOnce()

    let file = try inputs.map { path throws(Diagnostic) in try TensorFile(path) }
    renewals = try program.renewals(from: file)
    for number in program.function.parameters.indices where !renewals.contains(where: { $0.parameter == number }) {
      try executable.write(try program.value(of: number, from: file), to: number)
    }
  }

  /// Seconds of another compilation, which finds the kernels on disk.
  func compileAgain() throws(Diagnostic) -> Double { try compileOnce().1 }

  func run() throws(Diagnostic) {
    for renewal in renewals { try executable.write(renewal.values[runs % renewal.values.count], to: renewal.parameter) }
    try executable.run()
    runs += 1
  }

  /// Runs from the start, and gives what shows that the numbers are right.
  func evidence() throws(Diagnostic) -> [String: HostTensor] {
    switch workload.evidence {
    case .results:
      try run()
      return try results(executable.function.resultNames)
    case .losses(let count):
      guard let loss = executable.resultNumber("loss") else { preconditionFailure("a training step has a loss") }
      var losses: [Double] = []
      for _ in 0..<count {
        try run()
        losses.append(try executable.result(loss).doubles[0])
      }
      return ["output/losses": try HostTensor(TensorType(.f32, [count]), doubles: losses)]
    case .steps(let count, let names):
      for _ in 0..<count { try run() }
      return try results(names)
    }
  }

  private func results(_ names: [String]) throws(Diagnostic) -> [String: HostTensor] {
    var found: [String: HostTensor] = [:]
    for name in names {
      guard let number = executable.resultNumber(name) else { preconditionFailure("the workload has a result '\(name)'") }
      found[name.hasPrefix("grad/") ? name : "output/\(name)"] = try executable.result(number)
    }
    return found
  }
}
