import IR
import Ops
import Rewriting

extension Pattern {
  static let elementwiseRules: [Pattern] =
    elementwise(Unary.self) + elementwise(Binary.self) + elementwise(Compare.self) + elementwise(Select.self)
    + elementwise(Cast.self)

  private static func elementwise<Op: TensorOp>(_ op: Op.Type) -> [Pattern] { [folded(op), sunkBroadcast(op)] }

  /// `f(c, d) → the constant f(c, d)`, computed by the op's own reference.
  private static func folded<Op: TensorOp>(_ op: Op.Type) -> Pattern {
    Pattern("fold", on: op) { match, rewriter throws(NoMatch) in
      let constants = match.operands.compactMap { rewriter.constant($0) }
      try rewriter.require(constants.count == match.operands.count, "not all operands are constants")
      let result = match.op.reference(constants.map(\.scalar))[0]
      return try rewriter.emit(Constant(only: result, shape: rewriter.type(of: match.results[0]).shape))
    }
  }

  /// `f(broadcast(x), broadcast(y), c) → broadcast(f(x, y, c))`: the same numbers, computed once.
  private static func sunkBroadcast<Op: TensorOp>(_ op: Op.Type) -> Pattern {
    Pattern("broadcast-later", on: op) { match, rewriter throws(NoMatch) in
      let broadcasts = match.operands.compactMap { rewriter.find($0, as: Broadcast.self) }
      guard let first = broadcasts.first else { throw NoMatch("no operand is broadcast") }
      try rewriter.require(broadcasts.allSatisfy { $0.op == first.op }, "the operands are broadcast in different ways")
      let small = rewriter.type(of: first[0]).shape
      try rewriter.require(small.reduce(1, *) < first.op.shape.reduce(1, *), "the broadcast repeats nothing")
      var operands: [Value] = []
      for operand in match.operands {
        if let broadcast = rewriter.find(operand, as: Broadcast.self) {
          operands.append(broadcast[0])
        } else if let constant = rewriter.constant(operand) {
          operands.append(try rewriter.emit(constant.shaped(small)))
        } else {
          throw NoMatch("an operand is not broadcast")
        }
      }
      return try rewriter.emit(first.op, rewriter.emit(match.op, operands)[0])
    }
  }
}
