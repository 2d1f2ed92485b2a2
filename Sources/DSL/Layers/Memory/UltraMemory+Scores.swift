import IR

extension UltraMemory {
  /// How well every key of every rank answers: `[…, heads, 2, rank, side]`.
  func keyScores(_ x: Tensor) -> Tensor {
    let (trace, part, ranks) = (x.trace, options.part, options.queryRanks)
    let query = Linear(x.extent(-1), options.queries * 2 * ranks * part, initial: options.queryInitial).named("query")
    let split = query(convolved(x)).split(into: [options.queries, 2, ranks, part])
    let q = LayerNorm.ofKeys(part, eps: options.normEps).named("query_norm")(split)
    let gain = 1 / Double(max(1, part)).squareRoot()
    let k = LayerNorm.ofKeys(part, eps: options.normEps, gain: gain).named("key_norm")(trace[options.keyTable])

    // Neighbouring heads share a query: q query, g its heads, s side, r rank, n key, d width
    let sharing = options.heads / max(1, options.queries)
    let grouped = k.split(axis: 0, into: [options.queries, sharing])
    let scores = options.queryMode == .shared
      ? q.at(0, axis: -2).contract(grouped, "...qsd,qgsrnd->...qgsrn")
      : q.contract(grouped, "...qsrd,qgsrnd->...qgsrn")
    return scores.reshaped(Array(x.shape.dropLast()) + [options.heads, 2, options.rank, options.side])
  }

  /// Σₖ weight[:, k] · x[t − (taps − 1) + k], zero before the sequence.
  private func convolved(_ x: Tensor) -> Tensor {
    guard options.taps > 0 else { return x }
    var start = [Float](repeating: 0, count: x.extent(-1) * options.taps)
    for channel in 0..<x.extent(-1) { start[(channel + 1) * options.taps - 1] = 1 }
    let weight = x.trace[Parameter("conv.weight", [x.extent(-1), options.taps], .values(start))]
    let padded = x.padded(axis: 1, low: options.taps - 1)
    let parts = (0..<options.taps).map { tap in
      padded.slice(tap..<tap + x.extent(1), axis: 1) * weight.at(tap, axis: -1)
    }
    return parts.dropFirst().reduce(parts[0]) { $0 + $1 }
  }

  /// The winners of each head, and their scores by core `[…, heads, top, cores]`.
  func choose(_ scores: Tensor) -> (keys: ProductKeys, scores: Tensor) {
    guard options.scoring == .tucker else {
      let flat = scores.reshaped(Array(scores.shape.dropLast(2)) + [options.side])
      let (keys, score) = ProductKeys.additive(flat, candidates: options.candidates, top: options.top)
      return (keys, score.insertingAxis(-1))
    }
    let core = scores.trace[options.core]
    let (u, t) = singularVectors(core)
    // The first stage sees the best approximation of rank 1: u·row and t·column.
    let vectors = Tensor.concatenated([u.insertingAxis(1), t.insertingAxis(1)], axis: 1)
    let sides = scores.contract(vectors, "...hsrn,hsr->...hsn").stoppingGradient()
    let candidates = sides.top(options.candidates).indices
    let found = scores.elements(repeated(candidates, options.rank))
    let (row, column) = (found.at(0, axis: -3), found.at(1, axis: -3))

    // The second sees the sum of the cores, whole.
    let mixed = row.contract(core.sum(0), "...hri,hrs->...hsi")
    let grid = mixed.contract(column, "...hsi,...hsj->...hij").flattened(last: 2).stoppingGradient()
    let keys = ProductKeys(grid.top(options.top).indices, among: candidates)
    let (rows, columns) = (row.elements(repeated(keys.rowRank, options.rank)), column.elements(repeated(keys.columnRank, options.rank)))
    let byCore = rows.contract(core, "...hrm,chrs->...hmcs")
    return (keys, byCore.contract(columns, "...hmcs,...hsm->...hmc"))
  }

  /// `[…, k]` → `[…, count, k]`
  private func repeated(_ ids: Tensor, _ count: Int) -> Tensor {
    ids.insertingAxis(-2).broadcast(to: ids.shape.dropLast() + [count, ids.extent(-1)])
  }

  /// The leading pair of the summed cores, renewed and kept, or as it is stored.
  private func singularVectors(_ core: Tensor) -> (left: Tensor, right: Tensor) {
    let trace = core.trace
    let stored = (left: trace[options.rowVector], right: trace[options.columnVector])
    guard refreshes else { return stored }
    let pair = SingularPair(of: core.sum(0)).oriented(like: stored)
    trace.update(options.rowVector, to: pair.left)
    trace.update(options.columnVector, to: pair.right)
    return pair
  }
}
