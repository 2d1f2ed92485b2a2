import Compiler
import Foundation
import IR
import Runtime
import Testing

@testable import Training

@Suite("training mixtures of experts") struct MixtureTrainingTests {
  private static let json: JSON = [
    "architecture": "language-model", "vocabulary": 256, "width": 8, "layers": 2, "heads": 2,
    "feed_forward": ["kind": "moe", "hidden": 6, "experts": 5, "top": 2, "similarity_weight": 0.01],
    "optimizer": ["learning_rate": 0.02],
  ]

  private func trainer(threads: Int) throws -> Trainer {
    try Trainer(
      TinyModel.configuration(Self.json), on: TinyModel.batches(), for: TinyModel.fastest,
      options: CompileOptions(threads: threads))
  }

  @Test("a pause and the number of threads change no bit, and the threshold moves")
  func resumes() throws {
    let whole = try trainer(threads: 1)
    for _ in 0..<5 { _ = try whole.advance() }
    let scratch = try Scratch()
    let first = try trainer(threads: 2)
    for _ in 0..<2 { _ = try first.advance() }
    let early = try first.tensors()["blocks.0.feed_forward.threshold"]?.doubles[0]
    let path = try Checkpoints(in: scratch.path("run")).write(try first.checkpoint(seconds: 1), keeping: 1)
    let second = try Trainer(
      TinyModel.configuration(Self.json), on: TinyModel.batches(), continuing: Checkpoint(path), for: TinyModel.fastest,
      options: CompileOptions(threads: 2))
    for _ in 0..<3 { _ = try second.advance() }
    #expect(try whole.tensors() == second.tensors())
    let late = try second.tensors()["blocks.0.feed_forward.threshold"]?.doubles[0]
    #expect(early?.isFinite == true && late?.isFinite == true && early != late)
  }

  @Test("the log says how experts are used")
  func log() throws {
    let scratch = try Scratch()
    let plan = TrainingRun.Plan(steps: 2)
    var run = try TrainingRun(try trainer(threads: 1), plan, in: scratch.path("run"), terminal: TinyModel.silent) { false }
    #expect(try run.run() == .finished)
    let text = try String(contentsOfFile: scratch.path("run") + "/" + TrainingRun.logName, encoding: .utf8)
    let line = try JSON(parsing: String(text.split(separator: "\n")[1]), file: "log")
    let health = try #require(line["health"])
    for layer in 0..<2 {
      let loads = try #require(health["blocks.\(layer).feed_forward.loads"]).array()
      #expect(loads.count == 5)
      #expect(abs(try loads.reduce(0) { try $0 + $1.double() } - 1) < 1e-4)
      for name in ["max_violation", "idle_tokens", "pair_usage"] {
        #expect(try #require(health["blocks.\(layer).feed_forward.\(name)"]).double() >= 0)
      }
    }
  }
}
