import Compiler
import DSL
import IR
import Models
import Runtime

@testable import Training

/// A model so small that even the interpreter trains it at once, and a text with something to learn.
enum TinyModel {
  static let json: JSON = [
    "architecture": "language-model", "vocabulary": 256, "width": 8, "layers": 1, "heads": 2,
    "residual": ["kind": "hyper", "rate": 2], "feed_forward": ["hidden": 12],
    "optimizer": ["learning_rate": 0.02, "clip": 1, "weight_decay": 0.1],
  ]

  static func batches(of data: TextData? = nil, length: Int = 8) throws -> TextBatches {
    try TextBatches(data ?? text(), batch: 2, length: length, seed: 7)
  }

  static func text() throws -> TextData {
    let line = "The mill stands where the race meets the river. "
    return try TextData(Array(String(repeating: line, count: 40).utf8), source: "mill", validation: 0.1)
  }

  static func configuration(_ json: JSON = json) throws -> TrainingConfiguration {
    try TrainingConfiguration(json, steps: 10)
  }

  static func trainer(_ target: CompileTarget, threads: Int? = nil) throws -> Trainer {
    try Trainer(configuration(), on: batches(), for: target, options: CompileOptions(threads: threads))
  }

  static var program: Program { get throws { try Program(Configuration(json)) } }

  /// What trains here, the fastest last.
  static var targets: [CompileTarget] {
    #if LLVM
      [.interpreter, .cpu]
    #else
      [.interpreter]
    #endif
  }

  /// The fastest of them.
  static var fastest: CompileTarget { targets.last ?? .interpreter }

  static let silent = Terminal(isInteractive: false, usesColor: false, width: { 80 }, write: { _ in })
}
