import IR
import Ops

/// The least that a program costs: each parameter and result is moved once, and what its operations compute.
struct ProgramCost: Hashable {
  let bytes: Int
  /// Operations on numbers; a product counts as multiplications and additions, everything else as one an element.
  let operations: Int

  init(_ function: Function) {
    bytes = (function.parameters + function.results).reduce(0) { $0 + function.type(of: $1).bytes }
    operations = function.operations.reduce(0) { $0 + ProgramCost.operations(of: $1, function) }
  }

  private static func operations(of operation: Operation, _ function: Function) -> Int {
    let operands = operation.operands.map { function.type(of: $0) }
    switch operation.op {
    case let contract as Contract:
      guard let labels = try? Equation(contract.equation) else { return 0 }
      return 2 * labels.extents(operands[0], operands[1]).values.reduce(1, *)
    case is Reduce: return operands[0].count
    case is Unary, is Binary, is Compare, is Select: return function.type(of: operation.results[0]).count
    default: return 0
    }
  }
}
