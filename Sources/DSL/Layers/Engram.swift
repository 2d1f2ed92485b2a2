import IR

/// A gated memory of n-grams inside the network, which is added to the residual state before an attention.
///
///     c_j   = canonical[x_{t−j}],  canonical[pad] before the sequence
///     mix_n = c_0·a_0 ⊕ … ⊕ c_{n−1}·a_{n−1}        row_q = mix_n mod M_q        e = [E_0[row_0]; E_1[row_1]; …]
///     s_i   = ⟨norm(h_i), norm(K_i e)⟩ / √width     v_i = gate(s_i) · V e
///     h_i ← h_i + v_i + silu(conv_i(norm(v_i)))
///
/// for each of the residual streams i; tables and V are shared by all. The convolution is depthwise and causal, with taps
/// `orders` places apart. `M_q` are consecutive primes. Source: Engram, arXiv 2601.07372.
public struct Engram {
  /// σ(s) in the paper; σ(sign(s)·√max(|s|, 1e-6)) in the published code.
  public enum Gate: String, Hashable, Sendable, CaseIterable { case sigmoid, root }

  public struct Options: Hashable, Sendable {
    /// The largest n-gram, and the tables of each order.
    public var orders, heads: Int
    /// Table q has as many rows as the (q+1)-th smallest prime that is at least this.
    public var rows: Int
    public var rowWidth: Int
    /// Taps of the convolution.
    public var taps: Int
    public var gate: Gate
    /// The token that stands before the sequence.
    public var pad: Int
    public var normEps: Double

    public init(
      orders: Int = 3, heads: Int = 8, rows: Int, rowWidth: Int, taps: Int = 4, gate: Gate = .sigmoid, pad: Int = 0,
      normEps: Double = 1e-5
    ) {
      self.orders = orders
      self.heads = heads
      self.rows = rows
      self.rowWidth = rowWidth
      self.taps = taps
      self.gate = gate
      self.pad = pad
      self.normEps = normEps
    }

    public var tables: Int { max(0, orders - 1) * heads }
  }

  public let options: Options
  private let width: Int
  private let moduli: [Int]
  private let tables: [Named<Embedding>]
  private let key, value: Named<Linear>
  private let queryNorm, keyNorm, convolutionNorm: Named<RMSNorm>
  private let convolution, multipliers, canonical: Parameter

  /// - Parameter streams: of the residual state; 1 for a plain one.
  public init(vocabulary: Int, width: Int, streams: Int = 1, _ options: Options) {
    self.options = options
    self.width = width
    moduli = Modular.primes(from: options.rows, count: options.tables)
    tables = moduli.enumerated().map { number, rows in
      Embedding(rows: rows, width: options.rowWidth, isTable: true).named("tables.\(number)")
    }
    let inputs = options.tables * options.rowWidth
    key = Linear(inputs, streams * width).named("key")
    value = Linear(inputs, width).named("value")
    queryNorm = RMSNorm([streams, width], eps: options.normEps).named("query_norm")
    keyNorm = RMSNorm([streams, width], eps: options.normEps).named("key_norm")
    convolutionNorm = RMSNorm([streams, width], eps: options.normEps).named("conv_norm")
    convolution = Parameter("conv.weight", [streams, width, options.taps], .zeros)
    let odd = Initial.oddIntegers(below: Int64.max / Int64(max(1, vocabulary)))
    multipliers = Parameter("multipliers", [options.orders], odd, dtype: .i64, role: .buffer)
    canonical = Parameter("canonical", [vocabulary], .counting, dtype: .i64, role: .buffer)
  }

  /// The row of every table for each position of tokens `[batch, length]`: by order, then by head.
  public func rows(of tokens: Tensor) -> [Tensor] {
    let trace = tokens.trace
    let (ids, factors) = (trace[canonical], trace[multipliers])
    var mixed: Tensor?
    var rows: [Tensor] = []
    for place in 0..<options.orders {
      let past = ids.rows(tokens.delayed(place, filler: options.pad).maximum(0))
      let term = past * factors.at(place)
      mixed = mixed.map { $0 .^ term } ?? term
      guard place > 0, let mixed else { continue }
      rows += moduli[(place - 1) * options.heads..<place * options.heads].map { mixed.remainder(Double($0)) }
    }
    return rows
  }

  /// What is added to streams `[batch, length, streams, width]`.
  public func memory(for streams: Tensor, _ tokens: Tensor) -> Tensor {
    let found = Tensor.concatenated(zip(tables, rows(of: tokens)).map { $0($1) })
    let keys = key(found).reshaped(streams.shape)
    let scores = (queryNorm(streams) * keyNorm(keys)).sum(-1, keepingAxes: true) / Double(width).squareRoot()
    let gated = gate(scores) * value(found).insertingAxis(-2)

    let normed = convolutionNorm(gated)
    let weight = streams.trace[convolution]
    let taps = (0..<options.taps).map { tap in
      normed.delayed((options.taps - 1 - tap) * options.orders) * weight.at(tap)
    }
    return gated + taps.dropFirst().reduce(taps[0], +).silu()
  }

  /// The layer, for a state of streams or a plain one, and the tokens that go with it.
  public func callAsFunction(_ state: Tensor, _ tokens: Tensor) -> Tensor {
    let streams = state.rank == 3 ? state.insertingAxis(-2) : state
    return (streams + memory(for: streams, tokens)).reshaped(state.shape)
  }

  private func gate(_ scores: Tensor) -> Tensor {
    guard options.gate == .root else { return scores.sigmoid() }
    let root = scores.magnitude().maximum(1e-6).squareRoot()
    let negative = (scores .< 0).select(-root, else: 0)
    return (scores .> 0).select(root, else: negative).sigmoid()
  }
}
