import Compiler
import IR
import Models
import Passes
import Runtime

extension ModelDirectory {
  /// Runs the model once on the tensors of a file.
  ///
  /// Inputs go by the names of the configuration's program (`tokens`), or by those of case files (`input/tokens`).
  ///
  /// - Returns: the outputs by name (`logits`, `loss`) and, with `gradients`, those of the loss with respect to every
  ///   trained parameter as `grad/param/NAME`.
  public func run(
    inputs file: TensorFile, gradients: Bool, for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) -> [String: HostTensor] {
    var values: [String: HostTensor] = [:]
    var types: [String: TensorType] = [:]
    for entry in file.entries {
      let prefix = ValueNames.input("")
      let name = entry.name.hasPrefix(prefix) ? String(entry.name.dropFirst(prefix.count)) : entry.name
      guard let input = program.inputs.first(where: { $0.name == name }) else {
        let names = program.inputs.map { "'\($0.name)' \($0)" }.joined(separator: ", ")
        throw Diagnostic("\(file.path): the model has no input '\(entry.name)'; it takes \(names)")
      }
      let tensor = try file.tensor(entry.name, as: TensorType(input.dtype, entry.shape))
      try program.check(tensor, for: name)
      guard values.updateValue(tensor, forKey: ValueNames.input(name)) == nil else {
        throw Diagnostic("\(file.path): has the input '\(name)' twice")
      }
      types[name] = tensor.type
    }
    for (name, tensor) in tensors { values[ValueNames.parameter(name)] = tensor }
    var function = try program.trace(inputs: types)
    if gradients { function = try program.differentiated(function).withDenseResults() }
    let executable = try compile(Module(functions: [function]), entry: function.name, for: target, options: options)
    return try executable.run(values)
  }
}
