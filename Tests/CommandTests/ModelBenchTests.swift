import Compiler
import DSL
import Foundation
import IR
import Ops
import Passes
import Runtime
import Testing

@testable import model_bench

/// What must hold of every workload, and of how it is measured.
@Suite("model-bench") struct ModelBenchTests {
  @Test("workloads stand in the order of their names, each once")
  func order() {
    let names = Workload.all.map(\.name)
    #expect(names == Set(names).sorted())
  }

  @Test("a workload is a sound program that does something", arguments: Workload.all.map(\.name))
  func soundness(name: String) throws {
    let workload = try #require(Workload.all.first { $0.name == name })
    let program = try workload.program(.whole)
    let module = Module(functions: [program.function])
    try verify(module)
    #expect(program.leastBytes > 0)
    #expect(module.cost(of: program.function).flops > 0)
  }

  @Test("small, every device computes what the interpreter does", arguments: Workload.all.map(\.name))
  func small(name: String) throws {
    let workload = try #require(Workload.all.first { $0.name == name })
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("model-bench-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    func outputs(_ device: CompileTarget) throws -> TensorFile {
      let bench = Bench(device: device, threads: 2, repetitions: 1, seconds: 0, profiles: false, size: .small)
      let path = "\(folder)/\(device.rawValue).safetensors"
      try bench.record(workload, to: path)
      return try TensorFile(path)
    }
    let truth = try outputs(.interpreter)
    for device in Self.compiled + [.emulatedCUDA] {
      let found = try outputs(device)
      for entry in truth.entries {
        let (wanted, got) = (try truth.tensor(entry.name).doubles, try found.tensor(entry.name).doubles)
        let size = wanted.reduce(1e-6) { max($0, abs($1)) }
        let difference = zip(wanted, got).reduce(0) { max($0, abs($1.0 - $1.1)) }
        let share = workload.precision == .bf16 || entry.type.dtype == .bf16 ? 3e-2 : 1e-3
        #expect(difference < share * size, "\(device) \(entry.name)")
      }
    }
  }

  @Test(
    "what is fused at a GPU's sizes: launches, and bytes moved for each that must be",
    arguments: [
      ("hc-boundary", 2, 1.01), ("hc-boundary-grad", 2, 1.07), ("bag-forward", 1, 1.01), ("pkm-lookup", 3, 4.5),
      ("experts-even", 1, 1.01),
    ])
  func fusion(name: String, launches: Int, moved: Double) throws {
    let workload = try #require(Workload.all.first { $0.name == name })
    let program = try workload.program(.whole)
    var options = CompileOptions()
    options.precision = workload.precision
    let lowered = try lower(Module(functions: [program.function]), entry: program.function.name, options: options)
    #expect(lowered.plan.steps.count <= launches)
    // Nothing is compiled that nobody launches.
    #expect(Set(lowered.plan.steps.map(\.kernel)) == Set(lowered.module.kernels.map(\.name)))
    let bytes = Double(lowered.module.cost(of: lowered.function).bytes)
    #expect(bytes <= moved * Double(program.leastBytes), "\(bytes / Double(program.leastBytes))")
  }

  @Test("made-up values are the same every time, and ids stand in their table")
  func values() throws {
    let program = try Workload.plainModelStep.program(.whole)
    let tokens = try #require(program.function.parameters.firstIndex { program.function.name(of: $0) == "input/tokens" })
    let first = try program.value(of: tokens, from: nil).integers
    #expect(try program.value(of: tokens, from: nil).integers == first)
    #expect(first.allSatisfy { (0..<Int64(program.vocabulary)).contains($0) })
    #expect(Set(first).count > first.count / 2)
  }

  @Test("percentiles are times that were seen")
  func percentiles() {
    let timings = Timings(wall: [5, 1, 4, 2, 3], processor: [])
    #expect((timings.shortest, timings.median, timings.p90) == (1, 3, 5))
    #expect(Timings.percentile(0.5, of: [7, 8]) == 7)
    #expect(Timings(wall: [], processor: []).median == 0)
  }

  @Test("every device computes the same, and the report has what scripts read")
  func measurement() throws {
    let workload = Workload(name: "small", summary: "", evidence: .results) { _ throws(Diagnostic) in
      let trace = Trace(name: "small")
      let x = trace.input("input/x", .f32(3, 20))
      let y = try trace.finish([("y", LayerNorm(20)(x).squared().sum(-1))])
      return WorkloadProgram(function: y, parameters: trace.parameters, vocabulary: 1)
    }
    var sums: [Double] = []
    for device in [CompileTarget.interpreter] + Self.compiled {
      let bench = Bench(device: device, threads: 1, repetitions: 2, seconds: 0, profiles: true)
      let measurement = try bench.measure(workload, inputs: nil, outputs: nil)
      sums.append(try #require(measurement.checksums["output/y"]))
      #expect(measurement.timings.wall.count == 2)
      #expect(measurement.leastBytes == (60 + 20 + 20 + 3) * 4)

      var report = Report(device: device, threads: 1, limits: nil)
      report.measurements.append(measurement)
      let json = try JSON(parsing: report.json.text(pretty: true), file: "report")
      #expect(try json.required("context").required("threads").int() == 1)
      let entry = try #require(try json.required("benchmarks").array().first)
      for key in ["name", "real_time", "cpu_time", "compile_cold_ms", "peak_rss_bytes", "checksums"] {
        #expect(entry[key] != nil, "\(key)")
      }
      #expect(report.row(measurement).hasPrefix("small"))
    }
    for sum in sums { #expect(abs(sum - sums[0]) < 1e-3 * abs(sums[0])) }
  }

  private static var compiled: [CompileTarget] {
    #if LLVM
      [.cpu]
    #else
      []
    #endif
  }
}
