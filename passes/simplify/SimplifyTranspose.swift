import IR
import Ops
import Rewriting

extension Pattern {
  static let transposeRules: [Pattern] = [
    transposeOfConstant, transposeOfTranspose, transposeOfUnitAxes, transposeOfBroadcast, transposeOfContract,
  ]

  private static let transposeOfConstant = Pattern("transpose-of-constant", on: Transpose.self) {
    match, rewriter throws(NoMatch) in
    guard let constant = rewriter.constant(match[0]) else { throw NoMatch("not of a constant") }
    return try rewriter.emit(constant.shaped(rewriter.type(of: match.results[0]).shape))
  }

  /// `transpose(transpose(x)) → transpose(x)`
  private static let transposeOfTranspose = Pattern("transpose-of-transpose", on: Transpose.self) {
    outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Transpose.self)
    return try rewriter.emit(Transpose(permutation: outer.op.permutation.map { inner.op.permutation[$0] }), inner[0])
  }

  /// A transpose that moves no axis, or only axes of one element, leaves the elements in order: `x`, or `reshape(x)`.
  private static let transposeOfUnitAxes = Pattern("transpose-of-unit-axes", on: Transpose.self) {
    match, rewriter throws(NoMatch) in
    let shape = rewriter.type(of: match[0]).shape
    let wide = match.op.permutation.filter { shape[$0] != 1 }
    try rewriter.require(wide == wide.sorted(), "moves elements")
    let new = match.op.permutation.map { shape[$0] }
    return new == shape ? match[0] : try rewriter.emit(Reshape(shape: new), match[0])
  }

  /// `transpose(broadcast(x)) → broadcast(transpose(x))`; the new axes are made where they belong.
  private static let transposeOfBroadcast = Pattern("transpose-of-broadcast", on: Transpose.self) {
    outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Broadcast.self)
    let permutation = outer.op.permutation
    let axes = permutation.indices.filter { inner.op.axes.contains(permutation[$0]) }
    let kept = permutation.filter { !inner.op.axes.contains($0) }
    let order = kept.sorted()
    var x = inner[0]
    if kept != order { x = try rewriter.emit(Transpose(permutation: kept.map { order.firstIndex(of: $0)! }), x) }
    return try rewriter.emit(Broadcast(axes: axes, shape: permutation.map { inner.op.shape[$0] }), x)
  }

  /// `transpose(contract(x, y)) → contract(x, y)` with its labels in the new order.
  private static let transposeOfContract = Pattern("transpose-of-contract", on: Transpose.self) {
    outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Contract.self)
    try rewriter.require(rewriter.hasOneUse(outer[0]), "the product has other readers")
    let labels = inner.op.labels
    let result = outer.op.permutation.map { labels.result[$0] }
    return try rewriter.emit(inner.op.with(labels.a, labels.b, result), inner.operands)[0]
  }
}
