import Compiler
import DSL
import IR
import Models
import Passes
import Runtime
import TestSupport
import Testing

@testable import Training

/// What must hold where the backward pass computes states again: the numbers stay, the memory does not.
@Suite("recomputed states") struct RecomputationTests {
  private static func program(_ residual: JSON, width: Int, layers: Int) throws -> Program {
    try Program(
      Configuration([
        "architecture": "language-model", "vocabulary": 64, "width": .integer(width), "layers": .integer(layers), "heads": 2,
        "residual": residual, "feed_forward": ["hidden": .integer(2 * width)],
      ]))
  }

  @Test("gradients are what they are without", arguments: [
    ["kind": "hyper", "rate": 4], ["kind": "hyper", "rate": 2, "dynamic": false], ["kind": "mhc", "rate": 2],
    ["kind": "frac", "rate": 2], ["kind": "plain"],
  ] as [JSON], [1, 3])
  func gradients(residual: JSON, sites: Int) throws {
    let program = try Self.program(residual, width: 16, layers: 2)
    let types: [String: TensorType] = ["tokens": .i64(2, 16), "targets": .i64(2, 16)]
    var values: [String: HostTensor] = [:]
    let ids = (0..<32).map { Int64($0 * 37 % 64) }
    for name in types.keys { values[ValueNames.input(name)] = try HostTensor(.i64(2, 16), integers: ids) }
    for (name, tensor) in try program.initialTensors(seed: 2) {
      // Far from a new model's, so that every term of the gradients is there.
      values[ValueNames.parameter(name)] = try HostTensor(tensor.type, doubles: tensor.doubles.map { $0 * 3 + 0.05 })
    }
    let plain = try program.differentiated(inputs: types, recomputing: nil).withDenseResults()
    let again = try program.differentiated(inputs: types, recomputing: sites).withDenseResults()
    #expect(plain.resultNames == again.resultNames)
    if residual["kind"] != "plain" { #expect(again.operations.contains { $0.op.name == "after" }) }
    for target in TinyModel.targets {
      let truth = try compile(Module(functions: [plain]), entry: plain.name, for: .interpreter).run(values)
      let found = try compile(Module(functions: [again]), entry: again.name, for: target).run(values)
      for (name, tensor) in truth {
        #expect(try #require(found[name]).literal.difference(from: tensor.literal) < (target == .interpreter ? 1e-6 : 2e-4), "\(name)")
      }
    }
  }

  @Test("training goes the same way")
  func training() throws {
    let source = try TextBatches(TinyModel.text(), batch: 2, length: 8, seed: 7)
    func losses(_ sites: Int?) throws -> [Double] {
      let trainer = try Trainer(TinyModel.configuration(), on: source, recomputing: sites, for: TinyModel.fastest)
      return try (0..<5).map { _ in try trainer.advance() }
    }
    for (a, b) in zip(try losses(nil), try losses(1)) { #expect(abs(a - b) < 1e-4) }
  }

  #if LLVM
    @Test("a step needs less memory")
    func memory() throws {
      let program = try Self.program(["kind": "hyper", "rate": 4], width: 64, layers: 6)
      let types: [String: TensorType] = ["tokens": .i64(4, 128), "targets": .i64(4, 128)]
      func step(_ sites: Int?) throws -> CPUProgram {
        let function = try program.trainingStep(
          continuing: program.differentiated(inputs: types, recomputing: sites), optimizer: AdamW())
        return try CPUProgram(Module(functions: [function]), entry: function.name)
      }
      let (plain, again) = (try step(nil), try step(3))
      // Of twelve states of 4 × 128 × 4 × 64 floats four are kept, and three more are there at a time; but of those that
      // follow cheaply from others a step without checkpoints keeps few as well.
      let state = 4 * 128 * 4 * 64 * 4
      let saved = plain.plannedBytes - again.plannedBytes
      #expect(saved > state, "\(plain.plannedBytes) -> \(again.plannedBytes)")
    }
  #endif
}
