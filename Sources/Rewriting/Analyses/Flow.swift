import IR

extension Function {
  /// By value, whether it gets, through operations that let it pass, to an operation that is an end, or to one of some
  /// results. Only floats are followed. Of a region in `regions` its operations count.
  public func leads(
    to isEnd: (any TensorOp) -> Bool, orTo results: [Value] = [], through passes: (any TensorOp) -> Bool,
    regions: [String: Function] = [:]
  ) -> [Bool] {
    var leads = [Bool](repeating: false, count: valueCount)
    for result in results { leads[result.index] = true }
    for operation in operations.reversed() {
      if let region = operation.op as? Region, let callee = regions[region.callee] {
        let wanted = zip(callee.results, operation.results).filter { leads[$1.index] }.map(\.0)
        let inner = callee.leads(to: isEnd, orTo: wanted, through: passes, regions: regions)
        for (operand, parameter) in zip(operation.operands, callee.parameters) where inner[parameter.index] {
          leads[operand.index] = true
        }
        continue
      }
      let goesOn = passes(operation.op) && operation.results.contains { leads[$0.index] }
      guard goesOn || isEnd(operation.op) else { continue }
      for operand in operation.operands where type(of: operand).dtype.isFloat { leads[operand.index] = true }
    }
    return leads
  }
}
