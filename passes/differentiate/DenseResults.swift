import IR
import Ops

extension Function {
  /// The function with every row-sparse result written out as a whole tensor.
  public func withDenseResults() throws(Diagnostic) -> Function {
    guard results.contains(where: { type(of: $0).rows != nil }) else { return self }
    var builder = FunctionBuilder(self)
    for (number, result) in results.enumerated() where type(of: result).rows != nil {
      builder.function.results[number] = try builder.emit(Densify(), result)
    }
    return builder.function
  }
}
