import Compiler
import DSL
import IR
import Models
import Runtime

/// Works out the buffers of a model whose weights are an average: what training kept in them (thresholds of choices)
/// belongs to other weights.
///
/// Forward passes over the first batches of the run change the buffers as they do in training; the weights stay. Batch
/// norms of averaged weights are renewed the same way (Izmailov et al. 2018, arXiv 1803.05407).
final class BufferRenewal {
  private let source: any BatchSource
  private let executable: any Executable
  /// Forward passes: what is kept with a momentum of 0.95 is forgotten after them.
  private static let passes = 40

  /// `nil` where the forward pass changes no buffer.
  init?(
    _ program: Program, on source: any BatchSource, _ target: CompileTarget, _ options: CompileOptions
  ) throws(Diagnostic) {
    self.source = source
    var forward = try program.trace(inputs: source.types)
    let kept = forward.resultNames.indices.filter { forward.resultNames[$0].hasPrefix(ValueNames.parameter("")) }
    guard !kept.isEmpty else { return nil }
    forward.name = "renew_buffers"
    forward.results = kept.map { forward.results[$0] }
    forward.resultNames = kept.map { forward.resultNames[$0] }
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
  }

  /// The model's tensors with buffers that belong to its weights.
  func renewed(_ tensors: [String: HostTensor], _ program: Program) throws(Diagnostic) -> [String: HostTensor] {
    var tensors = tensors
    for (name, tensor) in tensors { try write(tensor, to: ValueNames.parameter(name)) }
    for step in 0..<Self.passes {
      for (name, tensor) in try source.batch(step: step) { try write(tensor, to: ValueNames.input(name)) }
      try executable.run()
      for (number, name) in executable.function.resultNames.enumerated() {
        try write(try executable.result(number), to: name)
      }
    }
    for parameter in program.parameters {
      guard let number = executable.resultNumber(ValueNames.parameter(parameter.name)) else { continue }
      tensors[parameter.name] = try executable.result(number)
    }
    return tensors
  }

  private func write(_ tensor: HostTensor, to name: String) throws(Diagnostic) {
    if let number = executable.parameterNumber(name) { try executable.write(tensor, to: number) }
  }
}
