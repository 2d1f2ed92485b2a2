import Compiler
import IR
import Models
import Runtime

/// The forward pass alone, on the part of a text that is not trained on.
final class Validation {
  private let batch: Int
  private let length: Int
  private let executable: any Executable
  private let tokens, targets, loss: Int

  init(
    _ program: Program, batch: Int, length: Int, _ target: CompileTarget, _ options: CompileOptions
  ) throws(Diagnostic) {
    (self.batch, self.length) = (batch, length)
    let type = TensorType(.i64, [batch, length])
    var forward = try program.trace(inputs: ["tokens": type, "targets": type])
    guard let result = forward.resultNames.firstIndex(of: "loss") else { throw Diagnostic("the model has no loss") }
    // The logits are not wanted: what only they need is not computed.
    forward.name = "validation"
    forward.results = [forward.results[result]]
    forward.resultNames = ["loss"]
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    guard let tokens = executable.parameterNumber(ValueNames.input("tokens")),
      let targets = executable.parameterNumber(ValueNames.input("targets"))
    else { throw Diagnostic("only a language model can be validated on text") }
    (self.tokens, self.targets, loss) = (tokens, targets, 0)
  }

  func write(_ tensor: HostTensor, to name: String) throws(Diagnostic) {
    guard let number = executable.parameterNumber(name) else { return }
    try executable.write(tensor, to: number)
  }

  func loss(on data: TextData, batches: Int) throws(Diagnostic) -> Double {
    try data.check(length: length, for: .validation)
    let there = data.validationBatches(batch: batch, length: length)
    let count = max(1, min(batches, there))
    var sum = 0.0
    for number in 0..<count {
      let windows = try data.validationBatch(number * there / count, batch: batch, length: length)
      let (inputs, wanted) = try windows.tokensAndTargets()
      try executable.write(inputs, to: tokens)
      try executable.write(wanted, to: targets)
      try executable.run()
      sum += try executable.result(loss).doubles[0]
    }
    return sum / Double(count)
  }
}
