import IR

/// The best pairs of a row key and a column key, as found in two stages: the best of each side, then the best of the grid
/// between them.
///
/// Every tensor is `[…, heads, top]`, best first.
struct ProductKeys {
  /// Ranks of a winner's row and column among the candidates of their side.
  let rowRank, columnRank: Tensor
  /// Numbers of its row key and its column key.
  let row, column: Tensor

  /// - Parameters:
  ///   - winners: flat places in the grid, (rank of row) · candidates + (rank of column).
  ///   - keys: the keys of the candidates of both sides, `[…, heads, 2, candidates]`.
  init(_ winners: Tensor, among keys: Tensor) {
    let candidates = Double(max(1, keys.extent(-1)))
    rowRank = winners / candidates
    columnRank = winners.remainder(candidates)
    row = keys.at(0, axis: -2).elements(rowRank)
    column = keys.at(1, axis: -2).elements(columnRank)
  }

  /// The winner's number in a table with a row for every pair of `side` keys.
  func number(side: Int) -> Tensor { row * Double(side) + column }

  /// The winners of additive scores, and what they scored: the `top` largest s₁[i] + s₂[j] of `[…, heads, 2, keys]`.
  ///
  /// The best of all pairs are among the pairs of each side's best, so nothing is lost.
  static func additive(_ scores: Tensor, candidates: Int, top: Int) -> (keys: ProductKeys, scores: Tensor) {
    let best = scores.top(candidates)
    let (rows, columns) = (best.values.at(0, axis: -2), best.values.at(1, axis: -2))
    let grid = rows.insertingAxis(-1) + columns.insertingAxis(-2)
    let winners = grid.flattened(last: 2).top(top)
    return (ProductKeys(winners.indices, among: best.indices), winners.values)
  }
}

extension LayerNorm {
  /// A norm of queries or keys: a gain, no bias.
  static func ofKeys(_ width: Int, eps: Double, gain: Double = 1) -> LayerNorm {
    LayerNorm(width, eps: eps, bias: false, gain: .constant(gain))
  }
}
