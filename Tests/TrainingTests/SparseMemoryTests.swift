import Compiler
import DSL
import IR
import Models
import Runtime
import Testing

@testable import Training

/// What must hold of models with sparse memories, beyond their golden cases.
@Suite("sparse memories") struct SparseMemoryTests {
  private static let json: JSON = [
    "architecture": "language-model", "vocabulary": 256, "width": 8, "layers": 2, "heads": 2,
    "feed_forward": ["hidden": 12],
    "memory": [
      "kind": "ultramem", "keys": 6, "top": 3, "heads": 2, "key_width": 8, "expansion": 4, "cores": 2,
      "penalty_weight": 0.01, "placements": [["from": 0, "to": 1]],
    ],
    "optimizer": ["learning_rate": 0.02, "table_rate": 10, "table_rate_steps": 10, "lazy_tables": true],
  ]

  @Test("the log of a run tells how a table is read and at which rate it learns")
  func log() throws {
    let scratch = try Scratch()
    let trainer = try Trainer(
      TinyModel.configuration(Self.json), on: TinyModel.batches(), for: TinyModel.fastest)
    let plan = TrainingRun.Plan(steps: 2, validateEvery: 2, validationBatches: 2)
    var run = try TrainingRun(trainer, plan, in: scratch.path("run"), terminal: TinyModel.silent)
    #expect(try run.run() == .finished)
    let lines = try JSONLLog.read(scratch.path("run/\(TrainingRun.logName)"))
    #expect(lines.count == 2)
    let first = try #require(try lines[0].object()["table_learning_rate"]?.double())
    let second = try #require(try lines[1].object()["table_learning_rate"]?.double())
    #expect(abs(first / trainer.configuration.optimizer.rate.value(after: 0) - 10) < 1e-9)
    #expect(second < first * 1.9)
    let last = try lines[1].object()
    let use = try #require(try last["memories"]?.object()["memories.0"]?.object())
    let usage = try #require(try use["usage"]?.double())
    let divergence = try #require(try use["kl"]?.double())
    #expect(usage > 0 && usage <= 1)
    #expect(divergence >= 0)
  }

  @Test("reads that are even diverge by nothing, a single row by log N")
  func divergence() {
    #expect(MemoryUse(reads: [3, 3, 3, 3]).divergence < 1e-12)
    #expect(MemoryUse(reads: [3, 3, 3, 3]).usage == 1)
    let single = MemoryUse(reads: [0, 5, 0, 0])
    #expect(abs(single.divergence - 1.3862943611198906) < 1e-12)
    #expect(single.usage == 0.25)
  }

  @Test("a table of bf16 stays one, and the model says the same", arguments: TinyModel.targets)
  func shortTable(target: CompileTarget) throws {
    let scratch = try Scratch()
    let table = "memories.0.values.weight"
    var tensors = try Program(Configuration(Self.json)).initialTensors(seed: 1)
    var found: [[Double]] = []
    for dtype in [DType.f32, .bf16] {
      tensors[table] = try tensors[table]?.converted(to: dtype)
      let path = scratch.path(dtype.rawValue)
      try ModelDirectory.write(Self.json, tensors, to: path)
      let model = try ModelDirectory(path)
      #expect(model.program.tables == dtype)
      let function = try model.program.trace(inputs: ["tokens": .i64(1, 8)])
      var values: [String: HostTensor] = ["input/tokens": try HostTensor(.i64(1, 8), integers: [1, 2, 3, 4, 5, 6, 7, 8])]
      for (name, tensor) in model.tensors { values[ValueNames.parameter(name)] = tensor }
      let run = try compile(Module(functions: [function]), entry: function.name, for: target)
      let logits = try #require(try run.run(values)["logits"])
      found.append(logits.doubles)
    }
    for (a, b) in zip(found[0], found[1]) { #expect(abs(a - b) < 1e-2) }
  }

  @Test("the winners of a new layer score 1 in the mean", arguments: ["tucker", "additive"])
  func calibrated(scoring: String) throws {
    let options: JSON = [
      "kind": "ultramem", "keys": 16, "top": 4, "heads": 2, "key_width": 32, "scoring": .string(scoring),
    ]
    let block: JSON = ["kind": "memory", "width": 16, "memory": options]
    let program = try Program(Configuration(["architecture": "block", "block": block]))
    let tensors = try program.initialTensors(seed: 5)
    let gain = try #require(tensors["memory.query_norm.weight"]).doubles[0]
    let other = try #require(tensors["memory.key_norm.weight"]).doubles[0]
    let width = scoring == "tucker" ? 16.0 : 32.0
    #expect(abs(other / gain * width.squareRoot() - 1) < 1e-5)
    let scores = UltraMemory(
      "memory",
      UltraMemoryOptions(
        keys: 16, top: 4, heads: 2, keyWidth: 32, valueWidth: 8, scoring: scoring == "tucker" ? .tucker : .additive))
    let trace = Trace(name: "mean")
    let mean = scores.meanScore(of: trace.input("input/x", .f32(1, 64, 16)))
    let function = try trace.finish([("mean", mean)])
    let arguments = try function.parameters.map { value -> Literal in
      let name = function.name(of: value)
      if name == "input/x" { return try HostTensor.random(function.type(of: value), seed: 77).literal }
      return try #require(tensors[String(name.dropFirst("param/".count))]).literal
    }
    let found = try Interpreter(Module(functions: [function])).run(function, arguments)[0].doubles[0]
    #expect(abs(found - 1) < 0.25, "other positions than those measured score \(found)")
  }
}
