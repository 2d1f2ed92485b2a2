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
    let forward = try program.trace(inputs: source.types, observing: MemoryUse.isWanted)
    guard let result = forward.resultNames.firstIndex(of: "loss") else { throw Diagnostic("the model has no loss") }
    // The logits are not wanted: what only they need is not computed.
    let observed = forward.resultNames.indices.filter { forward.resultNames[$0].hasPrefix(ValueNames.observed("")) }
    var validation = forward
    validation.name = "validation"
    validation.results = ([result] + observed).map { forward.results[$0] }
    validation.resultNames = ([result] + observed).map { forward.resultNames[$0] }
    executable = try compile(Module(functions: [validation]), entry: validation.name, for: target, options: options)
  }

  func write(_ tensor: HostTensor, to name: String) throws(Diagnostic) {
    guard let number = executable.parameterNumber(name) else { return }
    try executable.write(tensor, to: number)
  }

  /// The mean loss over so many batches, spread over the part evenly, and how the memories were used for them.
  func measure(batches: Int) throws(Diagnostic) -> ValidationReport {
    let there = source.validationBatches
    guard there > 0 else { throw Diagnostic("\(source.identity.source): has nothing to validate on") }
    let count = max(1, min(batches, there))
    var sum = 0.0
    var counts = MemoryCounts()
    for number in 0..<count {
      for (name, tensor) in try source.validationBatch(number * there / count) {
        try write(tensor, to: ValueNames.input(name))
      }
      try executable.run()
      sum += try executable.result(0).doubles[0]
      try counts.add(executable)
    }
    return ValidationReport(loss: sum / Double(count), memories: counts.uses)
  }
}

/// What the part of the data that is not trained on says of a model.
public struct ValidationReport: Sendable {
  public let loss: Double
  /// How each memory was used, by its name in the model.
  public let memories: [String: MemoryUse]
}
