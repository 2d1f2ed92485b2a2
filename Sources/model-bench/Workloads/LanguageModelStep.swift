import DSL
import IR
import Models
import Runtime
import Training

// A whole training step of a small language model: forward, backward and AdamW.

extension Workload {
  static let plainModelStep = languageModel(
    "lm-train-plain", "training step of a plain transformer, 6 × 256, 8 × 256 tokens", residual: ["kind": "plain"])

  static let hyperModelStep = languageModel(
    "lm-train-hc", "the same with hyper-connections, 4 streams", residual: ["kind": "hyper", "rate": 4])

  private static func languageModel(_ name: String, _ summary: String, residual: JSON) -> Workload {
    Workload(name: name, summary: summary, evidence: .losses(4)) { () throws(Diagnostic) in
      let vocabulary = 8192
      let configuration = try Configuration([
        "architecture": "language-model", "vocabulary": .integer(vocabulary), "width": 256, "layers": 6, "heads": 8,
        "residual": residual, "feed_forward": ["kind": "dense", "hidden": 1024],
        "optimizer": ["learning_rate": 0.001, "weight_decay": 0.1],
      ])
      let program = try Program(configuration)
      let tokens = TensorType(.i64, [8, 256])
      let forward = try program.trace(inputs: ["tokens": tokens, "targets": tokens])
      guard let optimizer = configuration.optimizer else { preconditionFailure("the configuration has an optimizer") }
      let step = try program.trainingStep(continuing: program.differentiated(forward), optimizer: optimizer)
      return WorkloadProgram(function: step, parameters: program.parameters, vocabulary: vocabulary)
    }
  }
}
