import Compiler
import IR
import Runtime

/// One of the models that the demo compares.
struct DemoModel {
  let name: String
  /// The value of the configuration's key `residual`.
  let residual: JSON

  static let plain = DemoModel(name: "plain residual", residual: ["kind": "plain"])
  static let hyper = DemoModel(
    name: "hyper-connections, n = 4", residual: ["kind": "hyper", "rate": 4, "dynamic": true])

  /// A small byte-level model, trained for `steps`.
  func configuration(steps: Int) -> JSON {
    [
      "architecture": "language-model", "vocabulary": .integer(TextData.vocabulary), "width": 128, "layers": 4,
      "heads": 4, "residual": residual, "feed_forward": ["hidden": 344], "tied": true, "qk_norm": true,
      "optimizer": [
        "learning_rate": 3e-3, "beta1": 0.9, "beta2": 0.95, "weight_decay": 0.1, "clip": 1,
        "warmup": .integer(min(50, steps / 4)), "schedule": "cosine", "total": .integer(max(1, steps)), "final": 0.1,
      ],
    ]
  }

  /// The name as part of a file's.
  var fileName: String { residual["kind"].flatMap { try? $0.string() } ?? "model" }
}

/// A model of the demo in training.
final class DemoTwin {
  let model: DemoModel
  let trainer: Trainer
  private(set) var losses: [Double] = []
  private(set) var seconds = 0.0
  let compileSeconds: Double
  private let log: JSONLLog

  /// A new model that is to be trained for `steps`.
  init(_ model: DemoModel, on source: TextBatches, steps: Int, _ options: Demo.Options) throws(Diagnostic) {
    self.model = model
    let clock = ContinuousClock()
    let start = clock.now
    let json = model.configuration(steps: steps)
    trainer = try Trainer(
      try TrainingConfiguration(json, steps: steps), on: source, for: options.target, options: options.compile)
    compileSeconds = (clock.now - start).inSeconds
    log = try JSONLLog("\(options.folder)/\(model.fileName).jsonl")
  }

  func advance() throws(Diagnostic) {
    let clock = ContinuousClock()
    let start = clock.now
    let rate = trainer.learningRate
    let loss = try trainer.advance()
    let spent = (clock.now - start).inSeconds
    guard loss.isFinite else {
      throw Diagnostic("the loss of '\(model.name)' at step \(trainer.step) is \(loss): training diverged")
    }
    losses.append(loss)
    seconds += spent
    try log.append([
      "step": .integer(trainer.step), "loss": .number(loss), "learning_rate": .number(rate),
      "tokens_per_second": .number((Double(trainer.source.unitsPerBatch) / max(spent, 1e-9)).rounded()),
      "seconds": .number(seconds),
    ])
  }

  /// Milliseconds a step takes.
  var stepMilliseconds: Double { seconds / Double(max(1, losses.count)) * 1000 }

  /// The mean of the last losses.
  var recentLoss: Double {
    let recent = losses.suffix(max(1, losses.count / 20))
    return recent.reduce(0, +) / Double(max(1, recent.count))
  }
}
