import IR
import Ops
import Rewriting

extension Function {
  /// Makes one product of those that read the parts of a concatenation one by one, with the same other operand.
  ///
  ///     %e = concatenate %r0, %r1 {axis = 1}
  ///     %g0 = contract %dy, %r0 {equation = "to,td->od"}
  ///     %g1 = contract %dy, %r1 {equation = "to,td->od"}
  /// ->
  ///     %e = concatenate %r0, %r1 {axis = 1}
  ///     %g = contract %dy, %e {equation = "to,td->od"}
  ///     %g0 = slice %g {…}
  ///     %g1 = slice %g {…}
  ///
  /// These are the gradients of products that were put together: the other operand is read once, and nobody needs the parts.
  mutating func joinProducts(_ context: inout PassContext) throws(Diagnostic) {
    while let group = productsOfParts(), context.allows() {
      try join(group)
      context.count("joined-products")
    }
  }

  private struct Products {
    /// The operation that puts the parts together, and for each part the product that reads it.
    let whole: Int
    let members: [Int]
    /// The operand of the products that is a part, and the axis of their results along which parts lie.
    let side: Int
    let axis: Int
  }

  private func productsOfParts() -> Products? {
    var readers: [Value: [Int]] = [:]
    for (number, operation) in operations.enumerated() where operation.op is Contract {
      for operand in Set(operation.operands) { readers[operand, default: []].append(number) }
    }
    for (whole, operation) in operations.enumerated() {
      guard let concatenate = operation.op as? Concatenate, Set(operation.operands).count == operation.operands.count,
        operation.operands.count > 1
      else { continue }
      for first in readers[operation.operands[0]] ?? [] where first > whole {
        guard let (side, axis) = place(of: concatenate, operation.operands[0], in: operations[first]) else { continue }
        let members = operation.operands.compactMap { part in
          readers[part]?.first { isTwin($0, of: first, reading: part, side) && $0 > whole }
        }
        guard members.count == operation.operands.count else { continue }
        return Products(whole: whole, members: members, side: side, axis: axis)
      }
    }
    return nil
  }

  /// Which operand of a product a part is, and where the axis of the parts stands in its result, if it only stands there.
  private func place(of concatenate: Concatenate, _ part: Value, in product: Operation) -> (side: Int, axis: Int)? {
    guard let contract = product.op as? Contract, !contract.isRowResident,
      let side = product.operands.firstIndex(of: part), product.operands[1 - side] != part
    else { return nil }
    let (own, other) = side == 0 ? (contract.labels.a, contract.labels.b) : (contract.labels.b, contract.labels.a)
    let label = own[concatenate.axis]
    guard !other.contains(label), let axis = contract.labels.result.firstIndex(of: label) else { return nil }
    return (side, axis)
  }

  private func isTwin(_ number: Int, of first: Int, reading part: Value, _ side: Int) -> Bool {
    let (a, b) = (operations[number], operations[first])
    guard let op = a.op as? Contract, let wanted = b.op as? Contract, op == wanted else { return false }
    return a.operands[side] == part && a.operands[1 - side] == b.operands[1 - side]
  }

  private mutating func join(_ group: Products) throws(Diagnostic) {
    let first = group.members.min() ?? 0
    let product = operations[first]
    var operands = product.operands
    operands[group.side] = operations[group.whole].results[0]
    let result: TensorType
    do {
      result = try product.op.infer(operands.map { type(of: $0) })[0]
    } catch {
      throw Diagnostic("'\(product.op.name)' \(error.message)", at: product.location)
    }
    let joint = addValue(result)
    var start = 0
    for member in group.members {
      let part = type(of: operations[member].results[0])
      var (starts, limits) = ([Int](repeating: 0, count: part.rank), result.shape)
      starts[group.axis] = start
      limits[group.axis] = start + part.shape[group.axis]
      start = limits[group.axis]
      operations[member].op = Slice(starts: starts, limits: limits)
      operations[member].operands = [joint]
    }
    operations.insert(Operation(product.op, operands, [joint], at: product.location), at: first)
  }
}
