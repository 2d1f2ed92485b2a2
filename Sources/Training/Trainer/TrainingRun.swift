import Foundation
import IR
import Runtime

/// A trainer's steps up to the last, with validation, checkpoints, a log and what people see of it.
public struct TrainingRun {
  public struct Plan: Hashable, Sendable {
    /// The step after which the run ends.
    public var steps: Int
    /// Steps between validations, and their batches; 0 for none.
    public var validateEvery: Int
    public var validationBatches: Int
    /// Steps between checkpoints; 0 for one at the end only.
    public var checkpointEvery: Int
    public var checkpointsKept: Int

    public init(
      steps: Int, validateEvery: Int = 0, validationBatches: Int = 16, checkpointEvery: Int = 0, checkpointsKept: Int = 2
    ) {
      self.steps = steps
      self.validateEvery = validateEvery
      self.validationBatches = validationBatches
      self.checkpointEvery = checkpointEvery
      self.checkpointsKept = checkpointsKept
    }
  }

  /// How a run ended; both with a checkpoint.
  public enum End: Hashable, Sendable { case finished, interrupted }

  public let trainer: Trainer
  public let plan: Plan
  public let folder: String
  /// Where the last checkpoint stands.
  public private(set) var lastCheckpoint: String?

  private let checkpoints: Checkpoints
  private let log: JSONLLog
  private let terminal: Terminal
  private let isInterrupted: () -> Bool
  private let secondsBefore: Double
  private let start = ContinuousClock.now
  private var savedStep: Int?

  public static let logName = "log.jsonl"

  /// - Parameters:
  ///   - folder: where checkpoints and `log.jsonl` go.
  ///   - checkpoint: the checkpoint the trainer goes on from.
  ///   - isInterrupted: asked after each step.
  public init(
    _ trainer: Trainer, _ plan: Plan, in folder: String, continuing checkpoint: TrainingState? = nil,
    terminal: Terminal = .standardError, isInterrupted: @escaping () -> Bool = { InterruptFlag.isSet }
  ) throws(Diagnostic) {
    (self.trainer, self.plan, self.folder) = (trainer, plan, folder)
    (self.terminal, self.isInterrupted) = (terminal, isInterrupted)
    try makeFolder(folder)
    checkpoints = Checkpoints(in: folder)
    checkpoints.removeUnfinished()
    log = try JSONLLog("\(folder)/\(Self.logName)", resumingAt: checkpoint?.step)
    secondsBefore = checkpoint?.seconds ?? 0
    savedStep = checkpoint?.step
    lastCheckpoint = checkpoints.newest?.path
  }

  private var seconds: Double {
    let elapsed = (ContinuousClock.now - start).components
    return secondsBefore + Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
  }

  /// Trains to the last step or until it is interrupted. A step that was begun is finished and saved.
  public mutating func run() throws(Diagnostic) -> End {
    var progress = TrainingProgress(total: plan.steps, done: trainer.step, unit: trainer.source.unit, to: terminal)
    let end = try steps(&progress)
    try save()
    progress.finish()
    return end
  }

  private mutating func steps(_ progress: inout TrainingProgress) throws(Diagnostic) -> End {
    while trainer.step < plan.steps {
      try step(&progress)
      if isInterrupted() { return .interrupted }
      if plan.checkpointEvery > 0, trainer.step % plan.checkpointEvery == 0 { try save() }
    }
    return .finished
  }

  private mutating func step(_ progress: inout TrainingProgress) throws(Diagnostic) {
    let (rate, tableRate, source) = (trainer.learningRate, trainer.tableLearningRate, trainer.source)
    let begin = seconds
    let loss = try trainer.advance()
    let end = seconds
    guard loss.isFinite else {
      let saved = lastCheckpoint.map { "; the last checkpoint is \($0)" } ?? ""
      throw Diagnostic("the loss of step \(trainer.step) is \(loss): training diverged\(saved)")
    }
    var line = JSON.Object()
    line.set("step", .integer(trainer.step))
    line.set("loss", .number(loss))
    for part in try trainer.lossParts() { line.set(part.name, .number(part.value)) }
    line.set("learning_rate", .number(rate))
    line.set("health", try trainer.health())
    if let tableRate { line.set("table_learning_rate", .number(tableRate)) }
    let speed = Double(source.unitsPerBatch) / max(end - begin, 1e-9)
    line.set("\(source.unit)_per_second", .number(speed.rounded()))
    line.set("seconds", .number((end * 1000).rounded() / 1000))
    progress.advance(to: trainer.step, loss: loss, units: source.unitsPerBatch)
    if plan.validateEvery > 0, trainer.step % plan.validateEvery == 0 || trainer.step == plan.steps {
      let report = try trainer.validate(batches: plan.validationBatches)
      line.set("validation_loss", .number(report.loss))
      if !report.memories.isEmpty { line.set("memories", report.memories.json) }
      progress.note("step \(trainer.step): validation loss \(Show.loss(report.loss))")
    }
    try log.append(JSON(.object(line)))
  }

  /// Writes a checkpoint, unless there is one of this step.
  private mutating func save() throws(Diagnostic) {
    guard savedStep != trainer.step else { return }
    lastCheckpoint = try checkpoints.write(
      try trainer.checkpoint(seconds: seconds), keeping: plan.checkpointsKept)
    savedStep = trainer.step
  }
}

extension JSON.Object {
  /// Adds an object of numbers and lists of numbers, unless there are none.
  fileprivate mutating func set(_ key: String, _ values: [(name: String, values: [Double])]) {
    guard !values.isEmpty else { return }
    var object = JSON.Object()
    for (name, values) in values {
      let numbers = values.map { JSON.number(($0 * 1e6).rounded() / 1e6) }
      object.set(name, numbers.count == 1 ? numbers[0] : .array(numbers))
    }
    set(key, JSON(.object(object)))
  }
}

extension [String: MemoryUse] {
  /// `{"memories.0": {"usage": 0.98, "kl": 0.31}}`
  fileprivate var json: JSON {
    var all = JSON.Object()
    for (name, use) in sorted(by: { $0.key < $1.key }) {
      all.set(name, ["usage": .number(use.usage), "kl": .number(use.divergence)])
    }
    return .object(all)
  }
}
