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
    forward.name = "renew_buffers"
    forward.keepResults { name, _ in name.hasPrefix(ValueNames.parameter("")) }
    guard !forward.results.isEmpty else { return nil }
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
  }

  /// The model's tensors with buffers that belong to its weights.
  func renewed(_ tensors: [String: HostTensor], _ program: Program) throws(Diagnostic) -> [String: HostTensor] {
    var tensors = tensors
    try executable.write(tensors, as: ValueNames.parameter)
    for step in 0..<Self.passes {
      try executable.write(source.batch(step: step), as: ValueNames.input)
      try executable.run()
      for (number, name) in executable.function.resultNames.enumerated() {
        try executable.write([name: executable.result(number)])
      }
    }
    for parameter in program.parameters {
      guard let number = executable.resultNumber(ValueNames.parameter(parameter.name)) else { continue }
      tensors[parameter.name] = try executable.result(number)
    }
    return tensors
  }
}
