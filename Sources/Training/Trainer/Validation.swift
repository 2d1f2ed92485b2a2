import Compiler
import IR
import Models
import Runtime

/// The forward pass alone, on the part of the data that is not trained on.
final class Validation {
  private let source: any BatchSource
  private let executable: any Executable

  init(
    _ program: Program, on source: any BatchSource, _ target: CompileTarget, _ options: CompileOptions
  ) throws(Diagnostic) {
    self.source = source
    var forward = try program.trace(inputs: source.types)
    guard let result = forward.resultNames.firstIndex(of: "loss") else { throw Diagnostic("the model has no loss") }
    // The logits are not wanted: what only they need is not computed.
    forward.name = "validation"
    forward.results = [forward.results[result]]
    forward.resultNames = ["loss"]
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
  }

  func write(_ tensor: HostTensor, to name: String) throws(Diagnostic) {
    guard let number = executable.parameterNumber(name) else { return }
    try executable.write(tensor, to: number)
  }

  /// The mean over so many batches, spread over the part evenly.
  func loss(batches: Int) throws(Diagnostic) -> Double {
    let there = source.validationBatches
    guard there > 0 else { throw Diagnostic("\(source.identity.source): has nothing to validate on") }
    let count = max(1, min(batches, there))
    var sum = 0.0
    for number in 0..<count {
      for (name, tensor) in try source.validationBatch(number * there / count) {
        try write(tensor, to: ValueNames.input(name))
      }
      try executable.run()
      sum += try executable.result(0).doubles[0]
    }
    return sum / Double(count)
  }
}
