import IR
import Ops
import Rewriting

extension Pass {
  /// Drops operations whose results nobody needs.
  ///
  ///     func @f(%x: f32[4]) -> f32[4] {
  ///       %0 = exp %x : f32[4]
  ///       %1 = tanh %x : f32[4]
  ///       return %1
  ///     }
  /// ->
  ///     func @f(%x: f32[4]) -> f32[4] {
  ///       %0 = tanh %x : f32[4]
  ///       return %0
  ///     }
  ///
  /// Parameters stay: they are the function's promise to its callers. So do functions, each of which may be called.
  public static let removeDeadCode = Pass("remove-dead-code", function: { (function, context) throws(Diagnostic) in
    var smaller = function
    smaller.removeDeadOperations()
    let removed = function.operations.count - smaller.operations.count
    guard removed > 0, context.allows() else { return }
    smaller.compact()
    function = smaller
    context.count("removed", by: removed)
  })
}
