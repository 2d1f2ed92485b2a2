import IR
import Passes
import Rewriting

/// What products of matrices are computed in, and rows are kept in between kernels.
public enum Precision: String, CaseIterable, Sendable {
  /// Everything in f32.
  case f32
  /// As f32, but a GPU's tensor cores may round the factors of products to the 10 bits of tf32.
  case tf32
  /// Factors, and rows that pass from kernel to kernel, are rounded to bf16 and sums are f32; parameters, norms,
  /// coefficients, routers and losses stay f32.
  case bf16

  /// The whole way to a backend.
  public var passes: [Pass] {
    switch self {
    case .f32, .tf32: Pipelines.all
    case .bf16: Pipelines.allInBF16
    }
  }

  /// A function as it is before anything is optimised, for the interpreter.
  func applied(to function: Function) throws(Diagnostic) -> Function {
    guard self == .bf16 else { return function }
    var module = Module(functions: [function])
    var manager = PassManager([.fuseAttention, .lowerPrecision])
    try manager.run(on: &module)
    return module.functions[0]
  }
}
