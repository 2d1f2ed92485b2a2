import IR

/// How an UltraMem layer is made. Source: Ultra-Sparse Memory Network, arXiv 2411.12364, and its second version,
/// arXiv 2508.18756.
public struct UltraMemoryOptions: Sendable, Hashable {
  /// How a pair of keys is scored.
  public enum Scoring: String, Sendable, Hashable, CaseIterable {
    /// Σ over ranks ρ, σ of row[ρ] · core[ρ, σ] · column[σ].
    case tucker
    /// row + column.
    case additive
  }

  /// What the ranks of a side share.
  public enum QueryMode: String, Sendable, Hashable, CaseIterable {
    /// Nothing: one vector of the key width is cut into as many pieces as there are ranks.
    case split
    /// One vector of the key width.
    case shared
    /// Nothing: every rank has a vector of the key width.
    case separate
  }

  /// Physical keys of each side: the table has keys² rows.
  public var keys: Int
  /// Root of the number of virtual copies of the table: each side has `keys · spread` keys.
  public var spread: Int
  public var top, heads: Int
  /// Winners of each side that go on to the grid.
  public var candidates: Int
  /// Queries, a divisor of `heads`: neighbouring heads share one.
  public var queries: Int
  public var keyWidth, valueWidth: Int
  public var scoring: Scoring
  public var rank, cores: Int
  public var queryMode: QueryMode
  /// Taps of the causal convolution before the query; 0 for none.
  public var taps: Int
  public var penaltyWeight, penaltyMargin: Double
  public var normEps: Double
  /// The second version: one output for all blocks, and tables read along a ring of layers.
  public var second: SecondVersion?
  public var initial: UltraMemoryInitial

  public struct SecondVersion: Sendable, Hashable {
    /// Width of a pre-value; 0 for none.
    public var preWidth: Int

    public init(preWidth: Int) { self.preWidth = preWidth }
  }

  public init(
    keys: Int, spread: Int = 1, top: Int, heads: Int = 1, candidates: Int? = nil, queries: Int? = nil, keyWidth: Int,
    valueWidth: Int, scoring: Scoring = .tucker, rank: Int = 2, cores: Int = 1, queryMode: QueryMode = .split,
    taps: Int = 0, penaltyWeight: Double = 0, penaltyMargin: Double = 0.15, normEps: Double = 1e-5,
    second: SecondVersion? = nil, initial: UltraMemoryInitial = UltraMemoryInitial()
  ) {
    (self.keys, self.spread, self.top, self.heads) = (keys, spread, top, heads)
    self.candidates = candidates ?? top
    self.queries = queries ?? max(1, heads / 2)
    (self.keyWidth, self.valueWidth) = (keyWidth, valueWidth)
    self.scoring = scoring
    self.rank = scoring == .tucker ? rank : 1
    self.cores = scoring == .tucker ? cores : 1
    (self.queryMode, self.taps) = (queryMode, taps)
    (self.penaltyWeight, self.penaltyMargin, self.normEps) = (penaltyWeight, penaltyMargin, normEps)
    (self.second, self.initial) = (second, initial)
  }

  /// Keys of each side, virtual ones included.
  var side: Int { keys * spread }
  /// Virtual copies of the table.
  var blocks: Int { spread * spread }
  /// Width of a key of one rank.
  var part: Int { queryMode == .split ? keyWidth / max(1, rank) : keyWidth }
  var queryRanks: Int { queryMode == .shared ? 1 : rank }
}

/// The spread of the initial values of an UltraMem layer.
public struct UltraMemoryInitial: Sendable, Hashable {
  /// Blocks of the network.
  public var layers: Int
  /// Hidden width of its feed-forward, and its width: the second version starts with the same variance.
  public var hidden, width: Int

  public init(layers: Int = 1, hidden: Int = 1, width: Int = 1) {
    (self.layers, self.hidden, self.width) = (layers, hidden, width)
  }
}

// MARK: Parameters

extension UltraMemoryOptions {
  private func normal(_ variance: Double) -> Initial { .normal(variance.squareRoot()) }

  /// Variance of the second version's weights.
  private var linear: Initial { normal(2 / (5 * Double(max(1, initial.width)))) }

  /// Deviation of the second version's tables: σ⁴ = 0.2 · hidden / (top · heads · preWidth · valueWidth · layers).
  private func secondDeviation(_ second: SecondVersion) -> Double {
    let reads = Double(top) * Double(heads) * Double(max(1, second.preWidth))
    let variance = 0.2 * Double(initial.hidden) / (reads * Double(valueWidth) * Double(max(1, initial.layers)))
    return variance.squareRoot().squareRoot()
  }

  var queryInitial: Initial { second == nil ? normal(1 / Double(keyWidth)) : linear }

  var outputInitial: Initial { second == nil ? normal(1 / (Double(blocks) * Double(valueWidth))) : linear }

  var preInitial: Initial { linear }

  var keyTable: Parameter { Parameter("keys", [heads, 2, rank, side, part], queryInitial) }

  var core: Parameter { Parameter("core", [cores, heads, rank, rank], .uniform(0, 1)) }

  var rowVector: Parameter { Parameter("row_vector", [heads, rank], .zeros, role: .buffer) }
  var columnVector: Parameter { Parameter("column_vector", [heads, rank], .zeros, role: .buffer) }

  var permutation: Parameter { Parameter("permutation", [side * side], .permutation, dtype: .i64, role: .buffer) }

  var values: Parameter {
    let reads = 2 * Double(top) * Double(heads) * Double(max(1, initial.layers))
    let first = (Double(blocks) / reads).squareRoot()
    return table("values.weight", valueWidth, second.map(secondDeviation) ?? first)
  }

  func preValues(_ second: SecondVersion) -> Parameter {
    table("pre_values.weight", second.preWidth, secondDeviation(second))
  }

  private func table(_ name: String, _ width: Int, _ deviation: Double) -> Parameter {
    Parameter(name, [keys * keys, width], .normal(deviation), decays: false, isTable: true)
  }
}
