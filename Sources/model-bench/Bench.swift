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
  var size = Workload.Size.whole

  /// Compiles a workload, times it and looks at what it computed.
  func measure(_ workload: Workload, inputs: String?, outputs: String?) throws(Diagnostic) -> Measurement {
    ProcessUsage.resetPeak()
    let cache = try TemporaryFolder()
    let session = try Session(self, workload, cache: cache.path, inputs: inputs)
    let (program, executable) = (session.program, session.executable)
    let found = try session.evidence()
    if let outputs { try TensorFile.write(found, to: outputs) }
    func run() throws(Diagnostic) { try session.run() }

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
      name: workload.name, precision: workload.precision, timings: timings, leastBytes: program.leastBytes,
      operations: Module(functions: [program.function]).cost(of: program.function).flops, traceSeconds: session.traceSeconds,
      coldSeconds: session.compileSeconds, peakBytes: peak, checksums: found.mapValues { $0.doubles.reduce(0, +) })
    if let compiled = executable as? any LoweredExecutable {
      measurement.plannedBytes = compiled.plannedBytes
      measurement.usedBytes = compiled.usedBytes
      measurement.movedBytes = compiled.program.module.cost(of: compiled.program.function).bytes
      measurement.launches = compiled.program.plan.steps.count
      measurement.kernels = compiled.program.module.kernels.count
      if profiles { measurement.profile = try KernelTime.all(of: compiled) }
      measurement.cachedSeconds = try session.compileAgain()
    }
    return measurement
  }

  /// Writes what the first runs of a workload compute to a safetensors file, and times nothing.
  func record(_ workload: Workload, to path: String) throws(Diagnostic) {
    try TensorFile.write(try Session(self, workload, cache: nil, inputs: nil).evidence(), to: path)
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
