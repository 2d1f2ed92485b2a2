import IR

/// An UltraMem layer, `[batch, length, width]` → `[batch, length, width]`.
///
///     q = LayerNorm(query(conv(x))),  k = LayerNorm(keys)
///     row[ρ, i] = ⟨k₀[ρ, i], q₀[ρ]⟩,  column[σ, j] = ⟨k₁[σ, j], q₁[σ]⟩
///     s_c[i, j] = Σ row[ρ, i] · core_c[ρ, σ] · column[σ, j]
///     I, J = best of u·row and t·column;  winners = best Σ_c s_c of I × J
///     v = permutation[i·n' + j],  pool[v / n², slice c] += s_c · values[v mod n², slice c]
///     y = output(pool)
///
/// n keys a side become n' = n·√E virtual ones over the same n² rows; (u, t) is the leading pair of singular vectors of
/// the summed cores, a buffer that every training forward renews. Source: arXiv 2411.12364.
public struct UltraMemory: MemoryLayer {
  public let name: String
  public let options: UltraMemoryOptions
  /// Whether a forward renews the singular vectors, as it does in training.
  public let refreshes: Bool
  /// The memories whose tables block b reads, by b modulo their number; the second version goes around a ring of them.
  public let tableOwners: [String]

  public init(_ name: String, _ options: UltraMemoryOptions, refreshes: Bool = true, tableOwners: [String]? = nil) {
    (self.name, self.options, self.refreshes) = (name, options, refreshes)
    self.tableOwners = tableOwners ?? [name]
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard x.trace.require(x.rank == 3, "a memory wants [batch, length, width], got \(x.type)") else { return x.poisoned }
    return x.trace.memory(name) {
      recordPenalty(x.trace)
      let winners = self.winners(of: x)
      let pool = options.second.map { self.pool(winners, x, $0) } ?? self.pool(winners, x.trace)
      return Linear(pool.extent(-1), x.extent(-1), initial: options.outputInitial).named("output")(pool)
    }
  }

  /// The mean over winners and cores of what they score, which the gains of a new model make 1.
  public func meanScore(of x: Tensor) -> Tensor {
    x.trace.memory(name) { choose(keyScores(x)).scores.mean() }
  }

  // MARK: Values

  /// What was found: `[…, heads, top]`, the scores `[…, heads, top, cores]`.
  struct Winners {
    let block, row, scores: Tensor
  }

  private func winners(of x: Tensor) -> Winners {
    let (keys, scores) = choose(keyScores(x))
    let virtual = x.trace[options.permutation].rows(keys.number(side: options.side))
    let rows = Double(options.keys * options.keys)
    let (block, row) = (virtual / rows, virtual.remainder(rows))
    let table = block.remainder(Double(tableOwners.count))
    x.trace.observeReads(table * rows + row, of: tableOwners.count * options.keys * options.keys)
    return Winners(block: block, row: row, scores: scores)
  }

  /// A sum of values for every block, one after the other.
  private func pool(_ winners: Winners, _ trace: Trace) -> Tensor {
    trace[options.values].pooled(
      winners.row, weights: winners.scores, blocks: (winners.block, options.blocks))
  }

  /// One sum of values for all blocks; block b comes from the b-th table along the ring.
  private func pool(_ winners: Winners, _ x: Tensor, _ second: UltraMemoryOptions.SecondVersion) -> Tensor {
    let trace = x.trace
    let query = second.preWidth > 0
      ? Linear(x.extent(-1), second.preWidth, initial: options.preInitial).named("pre")(x) : nil
    let place = winners.block.remainder(Double(tableOwners.count))
    let sums = tableOwners.enumerated().map { number, owner in
      let ids = tableOwners.count == 1 ? winners.row : (place .== Double(number)).select(winners.row, else: -1)
      return trace.memory(owner) {
        var weights = winners.scores
        if let query {
          let rows = trace[options.preValues(second)].rows(ids).cast(to: query.dtype)
          weights = weights * rows.contract(query, "...hkp,...p->...hk").insertingAxis(-1)
        }
        return trace[options.values].pooled(ids, weights: weights)
      }
    }
    return sums.dropFirst().reduce(sums[0]) { $0 + $1 }
  }

  // MARK: Penalty

  /// weight / (rank − 1) · Σ_{i ≥ 2} max(0, λᵢ − margin)², a mean over heads.
  private func recordPenalty(_ trace: Trace) {
    guard options.penaltyWeight != 0, options.scoring == .tucker else { return }
    var rest = trace[options.core].sum(0)
    var sum = trace.constant(0, .f32(options.heads))
    for rank in 0..<options.rank {
      let pair = SingularPair(of: rest)
      if rank > 0 { sum = sum + (pair.value - options.penaltyMargin).maximum(0).squared() }
      if rank + 1 < options.rank { rest = pair.removed(from: rest) }
    }
    let factor = options.penaltyWeight / Double(max(1, options.rank - 1))
    trace.record(MemoryPenalty(value: sum.mean() * factor))
  }
}
