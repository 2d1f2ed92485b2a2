import IR
import Ops
import Rewriting

extension Contract {
  /// The same kind of contraction with other labels.
  func with(_ a: [Character], _ b: [Character], _ result: [Character]) -> Contract {
    Contract("\(String(a)),\(String(b))->\(String(result))", isRowResident: isRowResident, isWide: isWide)
  }
}

extension Pattern {
  static let contractRules: [Pattern] = [contractOfTranspose, contractOfBroadcast, contractWithConstant]

  /// `contract(transpose(x), y) → contract(x, y)` with x's labels in the old order.
  private static let contractOfTranspose = Pattern("contract-of-transpose", on: Contract.self) {
    match, rewriter throws(NoMatch) in
    let labels = match.op.labels
    var lists = [labels.a, labels.b]
    var operands = match.operands
    for number in lists.indices {
      guard let transpose = rewriter.find(operands[number], as: Transpose.self) else { continue }
      var old = lists[number]
      for (place, axis) in transpose.op.permutation.enumerated() { old[axis] = lists[number][place] }
      lists[number] = old
      operands[number] = transpose[0]
    }
    try rewriter.require(operands != match.operands, "no operand is transposed")
    return try rewriter.emit(match.op.with(lists[0], lists[1], labels.result), operands)[0]
  }

  /// An operand that is repeated along a label need not have it: the other operand has it, or the result is repeated.
  private static let contractOfBroadcast = Pattern("contract-of-broadcast", on: Contract.self) {
    match, rewriter throws(NoMatch) in
    let labels = match.op.labels
    for (number, own, other) in [(0, labels.a, labels.b), (1, labels.b, labels.a)] {
      guard let broadcast = rewriter.find(match[number], as: Broadcast.self) else { continue }
      // Labels that are summed stay: a product sums what both operands have.
      let repeated = broadcast.op.axes.filter { labels.result.contains(own[$0]) }
      guard !repeated.isEmpty else { continue }
      let gone = Set(repeated.map { own[$0] })
      let kept = own.indices.filter { !gone.contains(own[$0]) }
      let alone = gone.subtracting(other)
      let stillNew = broadcast.op.axes.filter { !gone.contains(own[$0]) }.compactMap { kept.firstIndex(of: $0) }
      let small = try rewriter.emit(Broadcast(axes: stillNew, shape: kept.map { broadcast.op.shape[$0] }), broadcast[0])
      let lists = number == 0 ? (kept.map { own[$0] }, other) : (other, kept.map { own[$0] })
      let operands = number == 0 ? [small, match[1]] : [match[0], small]
      let product = match.op.with(lists.0, lists.1, labels.result.filter { !alone.contains($0) })
      let axes = labels.result.indices.filter { alone.contains(labels.result[$0]) }
      let shape = rewriter.type(of: match.results[0]).shape
      return try rewriter.emit(Broadcast(axes: axes, shape: shape), rewriter.emit(product, operands)[0])
    }
    throw NoMatch("no operand is repeated along the result")
  }

  /// `contract(x, c) → Σ x · (c · n)`, repeated along the constant's own labels, `n` of which are summed.
  private static let contractWithConstant = Pattern("contract-with-constant", on: Contract.self) {
    match, rewriter throws(NoMatch) in
    let labels = match.op.labels
    let isLeft = rewriter.constant(match[0]) != nil
    guard let constant = rewriter.constant(match[isLeft ? 0 : 1]) else { throw NoMatch("no operand is a constant") }
    let type = rewriter.type(of: match.results[0])
    try rewriter.require(!match.op.isWide && type.dtype == .f32 && constant.value.isFinite, "a product with it may be no number, or is rounded")
    let (x, own, other) = isLeft ? (match[1], labels.b, labels.a) : (match[0], labels.a, labels.b)
    let extents = labels.extents(rewriter.type(of: match[0]), rewriter.type(of: match[1]))
    let count = Set(other).subtracting(own).subtracting(labels.result).reduce(1) { $0 * (extents[$1] ?? 1) }
    let sum = try rewriter.emit(Reduce(.sum, axes: own.indices.filter { !labels.result.contains(own[$0]) }), x)
    let left = own.filter { labels.result.contains($0) }
    let wanted = labels.result.filter { own.contains($0) }
    let ordered = try rewriter.emit(Transpose(permutation: wanted.map { left.firstIndex(of: $0)! }), sum)
    let factor = Constant(constant.value * Double(count), rewriter.type(of: ordered))
    let scaled = try rewriter.emit(Binary(.multiply), ordered, rewriter.emit(factor))
    let new = labels.result.indices.filter { !own.contains(labels.result[$0]) }
    return try rewriter.emit(Broadcast(axes: new, shape: type.shape), scaled)
  }
}
