import Compiler
import Foundation
import IR
import Passes
import Runtime
import Training

/// Compiles workloads and times them.
struct Bench {
  let device: CompileTarget
  let threads: Int
  let repetitions: Int
  let seconds: Double
  let profiles: Bool

  func measure(_ workload: Workload, inputs: String?, outputs: String?) throws(Diagnostic) -> Measurement {
    ProcessUsage.resetPeak()
    let clock = ContinuousClock()
    let start = clock.now
    let program = try workload.program()
    let traceSeconds = (clock.now - start).inSeconds
    let cache = try TemporaryFolder()
    let options = CompileOptions(threads: threads, cacheDirectory: cache.path)
    func build() throws(Diagnostic) -> (any Executable, Double) {
      let start = clock.now
      let module = Module(functions: [program.function])
      let executable = try compile(module, entry: program.function.name, for: device, options: options)
      return (executable, (clock.now - start).inSeconds)
    }
    let (executable, coldSeconds) = try build()

    let file = try inputs.map { path throws(Diagnostic) in try TensorFile(path) }
    let renewals = try program.renewals(from: file)
    for number in program.function.parameters.indices where !renewals.contains(where: { $0.parameter == number }) {
      try executable.write(try program.value(of: number, from: file), to: number)
    }
    var runs = 0
    func run() throws(Diagnostic) {
      for renewal in renewals { try executable.write(renewal.values[runs % renewal.values.count], to: renewal.parameter) }
      try executable.run()
      runs += 1
    }
    let found = try evidence(workload, executable, run)
    if let outputs { try TensorFile.write(found, to: outputs) }

    for _ in 0..<2 { try run() }
    let timings: Timings
    if let program = executable as? DeviceProgram {
      let times = try DeviceClock(program.queue).timings(repetitions: repetitions, seconds: seconds, run)
      timings = Timings(wall: times.device, processor: times.processor)
    } else {
      timings = try Timings(repetitions: repetitions, seconds: seconds, run)
    }
    let peak = ProcessUsage.peakBytes
    var measurement = Measurement(
      name: workload.name, timings: timings, leastBytes: program.leastBytes,
      operations: Module(functions: [program.function]).cost(of: program.function).flops, traceSeconds: traceSeconds,
      coldSeconds: coldSeconds, peakBytes: peak, checksums: found.mapValues { $0.doubles.reduce(0, +) })
    if let compiled = executable as? any LoweredExecutable {
      measurement.plannedBytes = compiled.plannedBytes
      measurement.usedBytes = compiled.usedBytes
      measurement.movedBytes = compiled.program.module.cost(of: compiled.program.function).bytes
      measurement.launches = compiled.program.plan.steps.count
      measurement.kernels = compiled.program.module.kernels.count
      if profiles { measurement.profile = try KernelTime.all(of: compiled) }
      measurement.cachedSeconds = try build().1
    }
    return measurement
  }

  /// Runs from the start, and gives what shows that the numbers are right.
  private func evidence(
    _ workload: Workload, _ executable: any Executable, _ run: () throws(Diagnostic) -> Void
  ) throws(Diagnostic) -> [String: HostTensor] {
    switch workload.evidence {
    case .results:
      try run()
      var found: [String: HostTensor] = [:]
      for (number, name) in executable.function.resultNames.enumerated() {
        found[name.hasPrefix("grad/") ? name : "output/\(name)"] = try executable.result(number)
      }
      return found
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
      var found: [String: HostTensor] = [:]
      for name in names {
        guard let number = executable.resultNumber(name) else { preconditionFailure("the workload has a result '\(name)'") }
        found[name.hasPrefix("grad/") ? name : "output/\(name)"] = try executable.result(number)
      }
      return found
    }
  }
}

/// A folder that goes away with its owner.
private final class TemporaryFolder {
  let path: String

  init() throws(Diagnostic) {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("model-bench-\(UUID().uuidString)")
    path = url.path
    do {
      try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      throw Diagnostic("\(path): cannot be created: \(error.localizedDescription)")
    }
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}
