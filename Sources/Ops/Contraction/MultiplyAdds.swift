import IR

extension Function {
  /// Multiply-adds of the products it is written with, which is what papers call a model's arithmetic: neither selections
  /// nor functions of elements count, and of experts only what the routed rows take.
  public var multiplyAdds: Double {
    operations.reduce(0) { sum, operation in
      let operands = operation.operands.map { type(of: $0) }
      switch operation.op {
      case let contract as Contract:
        let extents = contract.labels.extents(operands[0], operands[1])
        return sum + extents.values.reduce(1) { $0 * Double($1) }
      case is GroupedContract:
        let matrix = operands[1].shape.dropFirst()
        return sum + matrix.reduce(Double(operands[0].shape[0])) { $0 * Double($1) }
      default: return sum
      }
    }
  }
}
