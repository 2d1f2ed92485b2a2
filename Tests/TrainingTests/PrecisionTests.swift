import Compiler
import DSL
import Foundation
import IR
import Models
import Passes
import Runtime
import TestSupport
import Testing

@testable import Training

/// Training in bf16: masters in f32, and a loss that goes down as it does without.
@Suite("mixed precision") struct PrecisionTests {
  /// Wide enough that its products are products.
  static let json: JSON = [
    "architecture": "language-model", "vocabulary": 256, "width": 32, "layers": 2, "heads": 2,
    "residual": ["kind": "hyper", "rate": 2], "feed_forward": ["hidden": 48],
    "optimizer": ["learning_rate": 0.01, "clip": 1, "weight_decay": 0.1],
  ]

  static func options(_ precision: Precision) -> CompileOptions {
    var options = CompileOptions()
    options.precision = precision
    return options
  }

  func losses(_ precision: Precision, _ target: CompileTarget, steps: Int) throws -> [Double] {
    let source = try TextBatches(TinyModel.text(), batch: 2, length: 16, seed: 7)
    let trainer = try Trainer(
      TinyModel.configuration(PrecisionTests.json), on: source, for: target, options: PrecisionTests.options(precision))
    return try (0..<steps).map { _ in try trainer.advance() }
  }

  @Test("the loss goes down as it does in f32")
  func learns() throws {
    let plain = try losses(.f32, TinyModel.fastest, steps: 30)
    let rounded = try losses(.bf16, TinyModel.fastest, steps: 30)
    #expect(plain != rounded)
    #expect(rounded[29] < rounded[0] - 1.5)
    for (a, b) in zip(plain, rounded) { #expect(abs(a - b) < 0.05 * max(1, a)) }
  }

  @Test("the backend rounds where the interpreter does", .enabled(if: TinyModel.targets.count > 1, "there is no backend"))
  func agrees() throws {
    let truth = try losses(.bf16, .interpreter, steps: 2)
    let found = try losses(.bf16, TinyModel.fastest, steps: 2)
    for (a, b) in zip(truth, found) { #expect(abs(a - b) < 5e-3) }
  }

  func step(_ precision: Precision) throws -> LoweredProgram {
    let program = try Program(Configuration(PrecisionTests.json))
    let tokens = TensorType.i64(2, 16)
    let gradient = try program.differentiated(inputs: ["tokens": tokens, "targets": tokens], recomputing: nil)
    let step = try program.trainingStep(continuing: gradient, optimizer: AdamW())
    return try lower(Module(functions: [step]), entry: step.name, options: PrecisionTests.options(precision))
  }

  @Test("only the kernel that renews a moment reads it", arguments: [Precision.f32, .bf16])
  func moments(precision: Precision) throws {
    let function = try step(precision).function
    let moments = function.parameters.filter { function.name(of: $0).hasPrefix("state/m/") }
    #expect(moments.count > 20)
    for moment in moments {
      let readers = function.operations.filter { $0.operands.contains(moment) }
      #expect(readers.count == 1, "\(function.name(of: moment))")
    }
  }

  @Test("products are bf16; parameters, moments and losses are not")
  func types() throws {
    let lowered = try step(.bf16)
    for value in lowered.function.parameters + lowered.function.results {
      #expect(lowered.function.type(of: value).dtype != .bf16, "\(lowered.function.name(of: value))")
    }
    // Every product of matrices multiplies bf16; what hyper-connections compute for a token is no product.
    var (narrow, wide) = (0, 0)
    for kernel in lowered.module.kernels {
      for case .loop(let stage) in kernel.body {
        for case .product(let product) in stage.body {
          let dtype = kernel.buffers[product.a.buffer.index].dtype
          if dtype == .bf16 { narrow += 1 } else { wide += 1 }
        }
      }
    }
    #expect(narrow > 6)
    #expect(wide == 0)
  }
}
