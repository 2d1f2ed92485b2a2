import Compiler
import IR
import Models
import Runtime

/// Runs a trained model's forward pass on one batch after the other and gives some of its outputs, and of the values
/// inside it that it points out.
struct Evaluation {
  private let executable: any Executable
  private let names: [String]

  /// - Parameters:
  ///   - outputs: names of outputs, such as `loss_diffusion`.
  ///   - isObserved: which of the values inside the model are given as well, as `observed/NAME`.
  init(
    _ program: Program, _ tensors: [String: HostTensor], on types: [String: TensorType], outputs: [String] = [],
    observing isObserved: @escaping (String) -> Bool = { _ in false }, for target: CompileTarget,
    options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    var forward = try program.trace(inputs: types, observing: isObserved)
    forward.keepResults { name, _ in outputs.contains(name) || name.hasPrefix(ValueNames.observed("")) }
    forward.name = "evaluation"
    names = forward.resultNames
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    try executable.write(tensors, as: ValueNames.parameter)
  }

  func run(on batch: [String: HostTensor]) throws(Diagnostic) -> [String: HostTensor] {
    try executable.write(batch, as: ValueNames.input)
    try executable.run()
    var results: [String: HostTensor] = [:]
    for (number, name) in names.enumerated() { results[name] = try executable.result(number) }
    return results
  }
}
