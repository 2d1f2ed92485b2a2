import Compiler
import IR
import Models
import Runtime

/// The forward pass alone, on the part of the data that is not trained on.
final class Validation {
  private let source: any BatchSource
  private let executable: any Executable
  private let loss: Int

  init(
    _ program: Program, on source: any BatchSource, _ target: CompileTarget, _ options: CompileOptions
  ) throws(Diagnostic) {
    self.source = source
    var validation = try program.trace(inputs: source.types, observing: MemoryUse.isWanted)
    validation.name = "validation"
    // The logits are not wanted: what only they need is not computed.
    validation.keepResults { name, _ in name == "loss" || name.hasPrefix(ValueNames.observed("")) }
    guard let loss = validation.resultNames.firstIndex(of: "loss") else { throw Diagnostic("the model has no loss") }
    self.loss = loss
    executable = try compile(Module(functions: [validation]), entry: validation.name, for: target, options: options)
  }

  /// Takes over the tensors of a model.
  func write(_ tensors: [String: HostTensor]) throws(Diagnostic) {
    try executable.write(tensors, as: ValueNames.parameter)
  }

  /// The mean loss over so many batches, spread over the part evenly, and how the memories were used for them.
  func measure(batches: Int) throws(Diagnostic) -> ValidationReport {
    let there = source.validationBatches
    guard there > 0 else { throw Diagnostic("\(source.identity.source): has nothing to validate on") }
    let count = max(1, min(batches, there))
    var sum = 0.0
    var counts = MemoryCounts()
    func write(_ number: Int) throws(Diagnostic) {
      try executable.write(source.validationBatch(number * there / count), as: ValueNames.input)
    }
    try write(0)
    for number in 0..<count {
      try executable.run()
      // A device of its own is still busy: meanwhile the next batch is made and goes there.
      if number + 1 < count { try write(number + 1) }
      sum += try executable.result(loss).doubles[0]
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
