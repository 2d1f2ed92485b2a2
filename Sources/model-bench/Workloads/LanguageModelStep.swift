import Compiler
import DSL
import IR
import Models
import Runtime
import Training

// A whole training step of a language model: forward, backward and AdamW.

extension Workload {
  static let plainModelStep = languageModel(
    "lm-train-plain", "training step of a plain transformer, 6 × 256, 8 × 256 tokens", .processor, ["kind": "plain"])

  static let hyperModelStep = languageModel(
    "lm-train-hc", "the same with hyper-connections, 4 streams", .processor, ["kind": "hyper", "rate": 4])

  static let largePlainModelStep = languageModel(
    "lm-124m-plain", "training step of 124M parameters in bf16, 12 × 768, 8 × 1024 tokens", .gpu, ["kind": "plain"])

  static let largeHyperModelStep = languageModel(
    "lm-124m-hc", "the same with hyper-connections, 4 streams", .gpu, ["kind": "hyper", "rate": 4])

  private static func languageModel(_ name: String, _ summary: String, _ scale: Scale, _ residual: JSON) -> Workload {
    let isLarge = scale == .gpu
    return Workload(
      name: name, summary: summary, scale: scale, precision: isLarge ? .bf16 : .f32, evidence: .losses(4)
    ) { (size) throws(Diagnostic) in
      let vocabulary = size(isLarge ? 50304 : 8192, small: 64)
      let width = size(isLarge ? 768 : 256, small: 32)
      let configuration = try Configuration([
        "architecture": "language-model", "vocabulary": .integer(vocabulary), "width": .integer(width),
        "layers": .integer(size(isLarge ? 12 : 6, small: 1)), "heads": .integer(size(isLarge ? 12 : 8, small: 2)),
        "residual": residual, "tied": isLarge ? true : false,
        "feed_forward": ["kind": "dense", "hidden": .integer(isLarge ? width * 8 / 3 : 4 * width)],
        "optimizer": ["learning_rate": 0.001, "weight_decay": 0.1],
      ])
      let program = try Program(configuration)
      let tokens = TensorType(.i64, [size(8, small: 1), size(isLarge ? 1024 : 256, small: 64)])
      let forward = try program.trace(inputs: ["tokens": tokens, "targets": tokens])
      guard let optimizer = configuration.optimizer else { preconditionFailure("the configuration has an optimizer") }
      let step = try program.trainingStep(continuing: program.differentiated(forward), optimizer: optimizer)
      return WorkloadProgram(function: step, parameters: program.parameters, vocabulary: vocabulary)
    }
  }
}
