import IR
import Ops
import Rewriting

extension Pattern {
  /// `contract(scatter(ids, v), w)` over the scattered axis `→ gather_sum(w, ids, v)`: of a product with few elements that are
  /// not zero, only the rows that they multiply are read.
  ///
  ///     %s = scatter_elements %ids, %v {extent = 1024} : f32[t, h, 1024]
  ///     %y = contract %s, %w {equation = "thn,hnd->thd"}
  ///
  /// This is how the gradient of the winners' scores comes back to a query.
  static let scatteredProduct = Pattern("scattered-product", on: Contract.self) { match, rewriter throws(NoMatch) in
    let labels = match.op.labels
    guard let number = [0, 1].first(where: { rewriter.scattered(match[$0]) != nil }),
      let scatter = rewriter.scattered(match[number])
    else { throw NoMatch("no operand has few elements that are not zero") }
    let (own, others) = number == 0 ? (labels.a, labels.b) : (labels.b, labels.a)
    let extents = labels.extents(rewriter.type(of: match[0]), rewriter.type(of: match[1]))
    func count(_ list: some Sequence<Character>) -> Int { list.reduce(1) { $0 * (extents[$1] ?? 1) } }

    let summed = own[own.count - 1]
    let lead = own.dropLast()
    let batch = others.prefix { $0 != summed }
    let rest = others.dropFirst(batch.count + 1)
    try rewriter.require(others.contains(summed) && !labels.result.contains(summed), "the scattered axis is not summed")
    try rewriter.require(batch.elementsEqual(lead.filter { others.contains($0) }), "the rows lie in another order")
    try rewriter.require(labels.result == Array(lead) + rest, "its result lies in another order")
    let (picks, extent, width) = (rewriter.type(of: scatter[0]).shape.last ?? 0, count([summed]), count(rest))
    try rewriter.require(picks > 0 && picks * 16 <= extent && width >= 16, "a matrix product does as well")
    try rewriter.require(rewriter.type(of: match[number]).dtype == .f32, "its elements are not f32")

    // Every batch has a part of the table of its own.
    let shape = lead.map { extents[$0] ?? 1 } + [picks]
    let type = TensorType(.i64, shape)
    try rewriter.require(rewriter.type(of: scatter[0]).dtype == .i64, "its places are not i64")
    let given = try rewriter.emit(Reshape(shape: shape), scatter[0])
    let places = try rewriter.emit(Iota(axis: 0, type: .i64(count(batch))))
    let place = try rewriter.emit(Reshape(shape: batch.map { extents[$0] ?? 1 }), places)
    let repeated = shape.indices.filter { $0 == lead.count || !batch.contains(lead[$0]) }
    let first = try rewriter.emit(
      Binary(.multiply), rewriter.emit(Broadcast(axes: repeated, shape: shape), place),
      rewriter.emit(Constant(integer: Int64(extent), type)))
    let isThere = try rewriter.emit(
      Binary(.and), rewriter.emit(Compare(.greaterOrEqual), given, rewriter.emit(Constant(integer: 0, type))),
      rewriter.emit(Compare(.less), given, rewriter.emit(Constant(integer: Int64(extent), type))))
    let ids = try rewriter.emit(
      Select(), isThere, rewriter.emit(Binary(.add), given, first), rewriter.emit(Constant(integer: -1, type)))

    let lists = count(lead)
    let table = try rewriter.emit(Reshape(shape: [count(batch) * extent, width]), match[1 - number])
    let weights = try rewriter.emit(Reshape(shape: [lists, picks, 1, 1]), scatter[1])
    let sum = try rewriter.emit(GatherSum(), table, rewriter.emit(Reshape(shape: [lists, picks]), ids), weights)
    return try rewriter.emit(Reshape(shape: rewriter.type(of: match.results[0]).shape), sum)
  }
}

extension Rewriter {
  /// The scatter that makes a value, through a reshape that leaves the scattered axis as it is.
  fileprivate func scattered(_ value: Value) -> Match<ScatterElements>? {
    if let scatter = find(value, as: ScatterElements.self) { return scatter }
    guard let reshape = find(value, as: Reshape.self), let scatter = find(reshape[0], as: ScatterElements.self),
      reshape.op.shape.last == scatter.op.extent
    else { return nil }
    return scatter
  }
}
