import IR
import Ops
import Rewriting

extension Pass {
  /// Computes what is written twice once.
  ///
  ///     %0 = exp %x : f32[4]
  ///     %1 = exp %x : f32[4]
  ///     %2 = add %0, %1 : f32[4]
  /// ->
  ///     %0 = exp %x : f32[4]
  ///     %1 = add %0, %0 : f32[4]
  ///
  /// Operations are equal if their ops are (attributes and all), and their operands; where the op commutes, in any order.
  /// Every op computes the same from the same operands, random numbers too. One look at each operation.
  public static let shareSubexpressions = Pass("share-subexpressions", function: { (function, context) throws(Diagnostic) in
    var known: [Expression: [Value]] = [:]
    var replaced: [Value: Value] = [:]
    var kept: [Operation] = []
    kept.reserveCapacity(function.operations.count)
    for var operation in function.operations {
      operation.operands = operation.operands.map { replaced[$0] ?? $0 }
      let expression = Expression(operation)
      if let first = known[expression], context.allows() {
        for (old, new) in zip(operation.results, first) { replaced[old] = new }
        context.count("shared")
        continue
      }
      known[expression] = operation.results
      kept.append(operation)
    }
    guard !replaced.isEmpty else { return }
    function.operations = kept
    function.results = function.results.map { replaced[$0] ?? $0 }
    function.compact()
  })
}

/// What an operation computes, apart from what its results are called.
private struct Expression: Hashable {
  private let op: AnyHashable
  private let operands: [Value]

  init(_ operation: Operation) {
    op = AnyHashable(operation.op)
    operands = operation.op.commutes ? operation.operands.sorted() : operation.operands
  }
}

extension TensorOp {
  /// Whether the order of the operands does not matter.
  fileprivate var commutes: Bool {
    switch self {
    case let op as Binary: op.function.commutes
    case let op as Compare: op.comparison == .equal || op.comparison == .notEqual
    default: false
    }
  }
}
