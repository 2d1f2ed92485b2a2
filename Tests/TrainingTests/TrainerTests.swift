import Compiler
import DSL
import Foundation
import IR
import Models
import Runtime
import Testing

@testable import Training

/// What must hold of training runs.
@Suite("trainer") struct TrainerTests {
  @Test("the loss goes down, and every backend sees the same", arguments: TinyModel.targets + [.emulatedCUDA])
  func learns(target: CompileTarget) throws {
    let trainer = try TinyModel.trainer(target)
    var losses: [Double] = []
    for _ in 0..<12 { losses.append(try trainer.advance()) }
    #expect(trainer.step == 12)
    #expect(abs(losses[0] - log(256)) < 0.1)
    #expect(losses[11] < losses[0] - 0.5)
    let validation = try trainer.validationLoss(batches: 2)
    #expect(validation < losses[0] - 0.3)
    let truth = try TinyModel.trainer(.interpreter)
    for loss in losses.prefix(3) { #expect(abs(try truth.advance() - loss) < 1e-4) }
  }

  @Test("a run that goes on is the run that was not interrupted, to the last bit", arguments: [1, 2])
  func resumes(threads: Int) throws {
    let scratch = try Scratch()
    let whole = try TinyModel.trainer(TinyModel.fastest, threads: 1)
    for _ in 0..<6 { _ = try whole.advance() }

    let first = try TinyModel.trainer(TinyModel.fastest, threads: threads)
    for _ in 0..<3 { _ = try first.advance() }
    let checkpoints = Checkpoints(in: scratch.path("run"))
    let path = try checkpoints.write(try first.checkpoint(seconds: 1), keeping: 1)
    let second = try Trainer(
      TinyModel.configuration(), on: TinyModel.batches(), continuing: Checkpoint(path), for: TinyModel.fastest,
      options: CompileOptions(threads: threads))
    #expect(second.step == 3)
    for _ in 0..<3 { _ = try second.advance() }
    let (a, b) = (try whole.checkpoint(seconds: 0), try second.checkpoint(seconds: 0))
    #expect(a.tensors == b.tensors)
    #expect(a.moments == b.moments)
    #expect(a.state == b.state)
  }

  @Test("an interrupted run finishes its step and saves; the log goes on where the run does")
  func interruption() throws {
    let scratch = try Scratch()
    let folder = scratch.path("run")
    let trainer = try TinyModel.trainer(TinyModel.fastest)
    let plan = TrainingRun.Plan(steps: 6, validateEvery: 3, validationBatches: 1)
    var run = try TrainingRun(trainer, plan, in: folder, terminal: TinyModel.silent) { trainer.step == 2 }
    #expect(try run.run() == .interrupted)
    let newest = try #require(Checkpoints(in: folder).newest)
    #expect(newest.step == 2)

    let checkpoint = try Checkpoint(newest.path)
    let resumed = try Trainer(
      TinyModel.configuration(), on: TinyModel.batches(), continuing: checkpoint, for: TinyModel.fastest)
    var rest = try TrainingRun(
      resumed, plan, in: folder, continuing: checkpoint.state, terminal: TinyModel.silent) { false }
    #expect(try rest.run() == .finished)
    let lines = try JSONLLog.read("\(folder)/\(TrainingRun.logName)")
    #expect(try lines.map { try $0.required("step").int() } == Array(1...6))
    #expect(lines.map { $0["validation_loss"] != nil } == [false, false, true, false, false, true])
    for line in lines { #expect(try line.required("loss").double() > 0) }
    #expect(Checkpoints(in: folder).all.map(\.step) == [2, 6])
  }

  @Test("only as many checkpoints as wanted stay, and nothing unfinished")
  func pruning() throws {
    let scratch = try Scratch()
    let folder = scratch.path("run")
    try FileManager.default.createDirectory(
      atPath: folder + "/.step-00000009.1.tmp", withIntermediateDirectories: true)
    let trainer = try TinyModel.trainer(TinyModel.fastest)
    let plan = TrainingRun.Plan(steps: 5, checkpointEvery: 1, checkpointsKept: 3)
    var run = try TrainingRun(trainer, plan, in: folder, terminal: TinyModel.silent) { false }
    _ = try run.run()
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    #expect(names == [TrainingRun.logName, "step-00000003", "step-00000004", "step-00000005"])
  }

  @Test("a checkpoint that cannot be written leaves the one before it alone")
  func failedCheckpoint() throws {
    let scratch = try Scratch()
    let checkpoints = Checkpoints(in: scratch.path("run"))
    let trainer = try TinyModel.trainer(TinyModel.fastest)
    _ = try trainer.advance()
    try checkpoints.write(try trainer.checkpoint(seconds: 0), keeping: 1)
    _ = try trainer.advance()
    var broken = try trainer.checkpoint(seconds: 0)
    // Two tensors of one name cannot stand in a file: writing fails in the middle.
    broken.moments["__metadata__"] = try HostTensor(zeros: .f32(1))
    #expect(complaint { try checkpoints.write(broken, keeping: 1) }.contains("cannot be written"))
    let names = try FileManager.default.contentsOfDirectory(atPath: checkpoints.folder)
    #expect(names == ["step-00000001"])
    #expect(try Checkpoint(#require(checkpoints.newest).path).state.step == 1)
  }

  @Test("a checkpoint belongs to its text and its model")
  func foreignCheckpoint() throws {
    let scratch = try Scratch()
    let trainer = try TinyModel.trainer(TinyModel.fastest)
    let path = try Checkpoints(in: scratch.path("run")).write(try trainer.checkpoint(seconds: 0), keeping: 1)
    let checkpoint = try Checkpoint(path)
    let other = try TextData(Array(repeating: 65, count: 2000), source: "other")
    #expect(
      complaint {
        _ = try Trainer(TinyModel.configuration(), on: TinyModel.batches(of: other), continuing: checkpoint, for: TinyModel.fastest)
      }.contains("is other data"))
    var object = try TinyModel.json.object()
    object.set("width", 12)
    #expect(
      complaint { _ = try TrainingConfiguration(.object(object), steps: 1, continuing: checkpoint.json) }
        .contains("another than the configuration's"))
  }

  @Test("what cannot be trained is said before anything is compiled")
  func refusals() throws {
    func complaint(with key: String, _ value: JSON) -> String {
      var object = (try? TinyModel.json.object()) ?? JSON.Object()
      object.set(key, value)
      return TrainingTests.complaint {
        _ = try Trainer(
          TinyModel.configuration(.object(object)), on: TinyModel.batches(), for: .interpreter)
      }
    }
    #expect(complaint(with: "vocabulary", 100).contains("at least 256"))
    #expect(complaint(with: "vocabulary", .integer(1 << 39)).contains("memory"))
    #expect(complaint(with: "learning_rate", 1).contains("learning_rate"))
    #expect(
      TrainingTests.complaint {
        _ = try TinyModel.batches(length: 1 << 20)
      }.contains("windows of 1048576"))
  }

  @Test("an optimizer that the configuration leaves out is chosen, and kept with the checkpoint")
  func usualOptimizer() throws {
    var object = JSON.Object()
    for member in try TinyModel.json.object().members where member.key != "optimizer" {
      object.set(member.key, member.value)
    }
    let first = try TrainingConfiguration(.object(object), steps: 200, learningRate: 0.5)
    #expect(first.optimizer.rate.peak == 0.5)
    #expect(first.optimizer.rate.value(after: 0) == 0.5 / 20)
    #expect(abs(first.optimizer.rate.value(after: 200) - 0.05) < 1e-12)
    let second = try TrainingConfiguration(.object(object), steps: 900, continuing: first.json)
    #expect(second.optimizer == first.optimizer)
  }
}
