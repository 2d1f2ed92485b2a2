import DSL
import Foundation
import IR
import Models
import Runtime
import Testing

/// What diffusion transformers are made of.
@Suite("diffusion") struct DiffusionTests {
  private static func program(_ keys: String) throws -> Program {
    let text = """
      {"architecture": "diffusion-transformer", "image": 4, "channels": 2, "patch": 2, "width": 8, "layers": 1, "heads": 2,
      "classes": 3, "frequency_width": 6, "feed_forward": {"hidden": 12}\(keys.isEmpty ? "" : ", " + keys)}
      """
    return try Program(Configuration(JSON(parsing: text, file: "config.json")))
  }

  private func run(_ build: (Trace) -> Tensor) throws -> [Double] {
    let trace = Trace(name: "f")
    let function = try trace.finish([("y", build(trace))])
    return try Interpreter(Module(functions: [function])).run(function, [])[0].doubles
  }

  @Test("what is wrong is said where it stands", arguments: [
    (#""objective": {"kind": "noise-and-variance"}"#, "'kind' \"noise-and-variance\" wants 'learn_variance'"),
    (#""objective": {"kind": "drift"}"#, "'kind' wants one of \"noise\""),
    (#""objective": {"time_scale": 3}"#, "'objective': unknown key \"time_scale\""),
    (#""residual": {"kind": "frac", "rate": 3}"#, "'rate' wants a divisor of the width 8, got 3"),
    (#""sampling": {"kind": "ddim", "steps": 1}"#, "'steps' wants an integer from 2 to 1000, got 1"),
    (#""sampling": {"kind": "euler"}"#, "'sampling' wants a key 'steps'"),
    (#""colour": 1"#, "unknown key \"colour\""),
    (#""generation": {"count": 3}"#, "unknown key \"generation\""),
    (#""sampling": {"kind": "euler", "steps": 4}"#, "wants sampling of kind \"ddim\" or \"ddpm\", got \"euler\""),
    (#""sampling": {"steps": 4, "guidance_channels": 3}"#, "at most the 2 channels of the model, got 3"),
  ])
  func errors(keys: String, message: String) {
    let error = #expect(throws: Diagnostic.self) { _ = try Self.program(keys) }
    #expect(error?.message.contains(message) == true, "\(String(describing: error))")
    #expect(error?.location.line == 2)
  }

  @Test("sizes that do not fit are said", arguments: [
    ("\"image\": 4", "\"image\": 5", "'image' wants a multiple of the patch 2, got 5"),
    ("\"heads\": 2", "\"heads\": 3", "'heads' wants a divisor of the width 8, got 3"),
    ("\"width\": 8", "\"width\": 6", "'width' wants a multiple of 4, got 6"),
    ("\"frequency_width\": 6", "\"frequency_width\": 5", "'frequency_width' wants an even number, got 5"),
  ])
  func sizes(key: String, other: String, message: String) {
    let text = """
      {"architecture": "diffusion-transformer", "image": 4, "channels": 2, "patch": 2, "width": 8, "layers": 1, "heads": 2,
      "classes": 3, "frequency_width": 6, "feed_forward": {"hidden": 12}}
      """
    let error = #expect(throws: Diagnostic.self) {
      _ = try Configuration(JSON(parsing: text.replacing(key, with: other), file: "config.json"))
    }
    #expect(error?.message == message)
  }

  @Test("inputs of the wrong size, and labels and times out of range, are refused")
  func inputs() throws {
    let program = try Self.program("")
    let types: [String: TensorType] = [
      "latents": .f32(2, 2, 4, 4), "timesteps": .i64(2), "labels": .i64(2), "target": .f32(2, 2, 4, 4),
    ]
    #expect(try program.trace(inputs: types).resultNames == ["prediction", "loss_diffusion", "loss"])
    for wrong: TensorType in [.f32(2, 2, 5, 5), .f32(2, 1, 4, 4), .f32(3, 2, 4, 4), .i64(2, 2, 4, 4)] {
      #expect(throws: Diagnostic.self) { _ = try program.trace(inputs: types.merging(["latents": wrong]) { $1 }) }
    }
    #expect(throws: Diagnostic.self) { try program.check(HostTensor(.i64(2), integers: [0, 4]), for: "labels") }
    #expect(throws: Diagnostic.self) { try program.check(HostTensor(.i64(2), integers: [0, 1000]), for: "timesteps") }
    try program.check(HostTensor(.i64(2), integers: [3, 0]), for: "labels")
  }

  @Test("a new model predicts nothing, with every residual scheme", arguments: ["plain", "hyper", "mhc", "frac", "ghc"])
  func start(kind: String) throws {
    let extra = kind == "ghc" ? #", "fractions": 2, "rate": 4"# : kind == "plain" ? "" : #", "rate": 2"#
    let program = try Self.program("\"residual\": {\"kind\": \"\(kind)\"\(extra)}")
    let types: [String: TensorType] = ["latents": .f32(1, 2, 4, 4), "timesteps": .i64(1), "labels": .i64(1)]
    let function = try program.trace(inputs: types)
    let tensors = try program.initialTensors(seed: 5)
    let arguments: [Literal] = function.parameters.map { value in
      let name = function.name(of: value)
      if name.hasPrefix("param/") { return tensors[String(name.dropFirst(6))]!.literal }
      return Literal(function.type(of: value)) { at in Double(at.reduce(1, +) % 3) }
    }
    let prediction = try Interpreter(Module(functions: [function])).run(function, arguments)[0]
    #expect(prediction.doubles.allSatisfy { $0 == 0 })
    // Xavier's bound for the embedding of patches, 8 inputs and 8 outputs.
    let patch = try #require(tensors["patch.weight"]).doubles
    #expect(patch.allSatisfy { abs($0) <= (6.0 / 16).squareRoot() } && patch.contains { abs($0) > 0.4 })
  }

  @Test("patches are cut row by row, channel fastest, and put together again")
  func patches() throws {
    let image = TensorType.f32(2, 3, 4, 4)
    let numbers = (0..<96).map(Double.init)
    func counting(_ trace: Trace) -> Tensor { trace.iota(.f32(96)).reshaped(image.shape) }
    #expect(try run { counting($0).patches(of: 2).images(fromPatches: 2, channels: 3) } == numbers)
    let first = try run { counting($0).patches(of: 2).at(1, axis: 1).at(0, axis: 0) }
    #expect(first == [2, 18, 34, 3, 19, 35, 6, 22, 38, 7, 23, 39])
    #expect(throws: Diagnostic.self) { _ = try run { counting($0).patches(of: 3) } }
  }

  @Test("positions of a grid begin with the column")
  func positions() throws {
    let table = try run { $0.gridPositions(grid: 3, width: 8) }
    let row = Array(table[8 * 5..<8 * 6])
    func axis(_ m: Double) -> [Double] { [sin(m), sin(m / 100), cos(m), cos(m / 100)] }
    for (found, wanted) in zip(row, axis(2) + axis(1)) { #expect(abs(found - wanted) < 1e-12) }
  }

  @Test("the schedule in a program is that of the tables, to the last places")
  func schedule() throws {
    let found = try run { trace in
      let times = trace.iota(.i64(NoiseSchedule.count))
      let zero = trace.constant(0, .f32(NoiseSchedule.count, 1))
      return (zero + 1).noised(by: zero, at: times)
    }
    for (root, kept) in zip(found, NoiseSchedule.kept) {
      #expect(abs(root - kept.squareRoot()) < 1e-9 * kept.squareRoot())
    }
    #expect(abs(NoiseSchedule.kept[999] - 4.0358e-5) < 1e-9)
  }

  @Test("steps of sampling land where the equations do")
  func steps() throws {
    let steps = DiffusionSampling(.ddim, steps: 250).schedule
    #expect(steps.map(\.time).prefix(3) == [999, 995, 991] && steps.last?.time == 0)
    // With the noise that x₀ = 3 was mixed with, DDIM comes back to it.
    var x = NoiseSchedule.kept[999].squareRoot() * 3 + (1 - NoiseSchedule.kept[999]).squareRoot() * 0.5
    for step in steps { x = step.keep * x + step.move * 0.5 }
    #expect(abs(x - 3) < 1e-9)
    let flow = DiffusionSampling(.euler, steps: 4).schedule
    #expect(flow.map(\.time) == [1, 0.75, 0.5, 0.25] && flow.allSatisfy { $0.keep == 1 && $0.move == -0.25 })
    let noisy = DiffusionSampling(.ddpm, steps: 1000).schedule
    #expect(noisy.filter { $0.variance == nil }.map(\.time) == [0])
    #expect(noisy.dropLast().allSatisfy { $0.variance!.low <= $0.variance!.high })
  }

  @Test("a model is sampled the way it was trained")
  func samplingChecks() throws {
    let program = try Self.program("")
    #expect(throws: Diagnostic.self) { _ = try program.samplingStep(DiffusionSampling(.euler, steps: 4), batch: 1) }
    #expect(throws: Diagnostic.self) { _ = try program.samplingStep(DiffusionSampling(.ddim, steps: 1), batch: 1) }
    #expect(throws: Diagnostic.self) {
      _ = try program.samplingStep(DiffusionSampling(.ddim, steps: 4, guidedChannels: 3), batch: 1)
    }
    let step = try program.samplingStep(DiffusionSampling(.ddpm, steps: 4, guidance: 2, guidedChannels: 1), batch: 3)
    #expect(step.donations.count == 1 && step.types(of: step.results) == [.f32(3, 2, 4, 4)])
  }
}

extension Function {
  fileprivate func types(of values: [Value]) -> [TensorType] { values.map { type(of: $0) } }
}
