import ArgumentParser
import Compiler
import Foundation
import IR
import Runtime
import Training

/// `model-bench`: how fast compiled models run, and what they cost.
@main struct ModelBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "model-bench", abstract: "Measure compiled models.",
    discussion: """
      Workloads:
      \(list(.processor))

      Workloads for GPUs:
      \(list(.gpu))

      Rates count the least work there is: every parameter and result moved once, and the operations of the program as \
      it was declared. They are held against the copy bandwidth and the speed of a large product, measured in this run. \
      'moved' says how many times the least bytes the kernels read and write. On a GPU times are the GPU's own, of a whole \
      run that finds none of its data in the cache.
      """)

  private static func list(_ scale: Workload.Scale) -> String {
    Workload.all.filter { $0.scale == scale }
      .map { "  \($0.name.padding(toLength: 18, withPad: " ", startingAt: 0))\($0.summary)" }.joined(separator: "\n")
  }

  @Argument(help: "What to measure; if none is named, everything that is meant for the device.")
  var workloads: [String] = []
  @Flag(help: "Print JSON in the style of Google Benchmark.")
  var json = false
  @Option(help: "Measure at least this often.")
  var repetitions = 5
  @Option(help: "Measure for at least this long.")
  var seconds = 2.0
  @Option(help: "Threads that run kernels; all cores if not given.")
  var threads: Int?
  @Option(help: "What runs the programs: \(CompileTarget.allCases.map(\.rawValue).joined(separator: ", ")).")
  var device = CompileTarget.cpu
  @Option(help: ArgumentHelp("Read parameters and inputs from a safetensors file.", valueName: "file"))
  var inputs: String?
  @Option(help: ArgumentHelp("Write what the first runs computed to a safetensors file.", valueName: "file"))
  var outputs: String?
  @Flag(help: "Shrink every workload to a size that any device does in a moment: to try it, not to measure it.")
  var small = false
  @Flag(
    name: .customLong("print-ir"), help: "Print the programs of workloads as ir-dump reads them, and measure nothing.")
  var printIR = false
  @Flag(help: "Print the kernels that take the most time.")
  var profile = false
  @Flag(inversion: .prefixedNo, help: "Measure what the machine can do.")
  var machine = true

  func validate() throws {
    for name in workloads where !Workload.all.contains(where: { $0.name == name }) {
      let names = Workload.all.map(\.name).joined(separator: ", ")
      throw ValidationError("There is no workload '\(name)'; there are \(names).")
    }
    guard repetitions > 0, repetitions <= 1 << 20 else { throw ValidationError("'--repetitions' wants 1 or more.") }
    guard seconds >= 0, seconds <= 86400 else { throw ValidationError("'--seconds' wants 0 to 86400.") }
    guard (1...4096).contains(threads ?? 1) else { throw ValidationError("'--threads' wants 1 to 4096.") }
    guard (inputs == nil && outputs == nil) || chosen.count == 1 else {
      throw ValidationError("'--inputs' and '--outputs' belong to one workload; name it.")
    }
  }

  /// In the order of the list, whatever the order of the arguments.
  private var chosen: [Workload] {
    let meant: Workload.Scale = device == .cuda ? .gpu : .processor
    return Workload.all.filter { workloads.isEmpty ? $0.scale == meant || small : workloads.contains($0.name) }
  }

  func run() throws {
    let size: Workload.Size = small ? .small : .whole
    if printIR {
      for workload in chosen { print(try workload.program(size).function.text(), terminator: "") }
      return
    }
    let threads = threads ?? ThreadPool.defaultThreads
    let bench = Bench(
      device: device, threads: threads, repetitions: repetitions, seconds: seconds, profiles: profile, size: size)
    try device.checkAvailable()
    let limits = machine ? try MachineLimits(of: device, precisions: Set(chosen.map(\.precision)), threads: threads) : nil
    var report = Report(device: device, threads: threads, limits: limits)
    if !json { print(report.header) }
    for workload in chosen {
      let measurement = try bench.measure(workload, inputs: inputs, outputs: outputs)
      report.measurements.append(measurement)
      if !json { print(report.row(measurement)) }
    }
    if json { print(report.json.text(pretty: true)) }
  }

  /// Prints what is wrong with a program as the compiler does, and ends with a code that says so.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let diagnostic as Diagnostic {
      FileHandle.standardError.write(Data("\(diagnostic)\n".utf8))
      Foundation.exit(1)
    } catch {
      exit(withError: error)
    }
  }
}

extension CompileTarget: ExpressibleByArgument {}
