import IR

/// The look-up that product-key memories have in common: for each head the `top` of keys² table rows whose pairs of half
/// keys answer the query best, weighted by a softmax of their scores.
///
///     s₁ = K₁ q₁,  s₂ = K₂ q₂,  (i, j) ∈ top of s₁[i] + s₂[j],  y = Σ_heads Σ softmax(s₁[i] + s₂[j]) · V[i·keys + j]
///
/// Source: Large Memory Layers with Product Keys, arXiv 1907.05242.
public struct ProductKeyOptions: Sendable, Hashable {
  public var keys, top, heads: Int
  /// Both half keys together.
  public var keyWidth: Int
  public var valueWidth: Int
  /// Without, the raw scores are the weights.
  public var softmax: Bool
  public var queryBias: Bool
  /// LayerNorm over each half query, and each key.
  public var normalizesQueries, normalizesKeys: Bool
  public var normEps: Double

  public init(
    keys: Int, top: Int, heads: Int = 1, keyWidth: Int, valueWidth: Int, softmax: Bool = true, queryBias: Bool = true,
    normalizesQueries: Bool = false, normalizesKeys: Bool = false, normEps: Double = 1e-5
  ) {
    (self.keys, self.top, self.heads) = (keys, top, heads)
    (self.keyWidth, self.valueWidth) = (keyWidth, valueWidth)
    (self.softmax, self.queryBias) = (softmax, queryBias)
    (self.normalizesQueries, self.normalizesKeys) = (normalizesQueries, normalizesKeys)
    self.normEps = normEps
  }

  /// The table: a row for every pair of keys.
  public var values: Parameter {
    let deviation = 1 / Double(max(1, valueWidth)).squareRoot()
    return Parameter("values.weight", [keys * keys, valueWidth], .normal(deviation), decays: false, isTable: true)
  }

  private var half: Int { keyWidth / 2 }

  /// What is found in a table, `[…, width]` → `[…, valueWidth]`.
  public func lookUp(_ x: Tensor, in values: Tensor) -> Tensor {
    let query = Linear(x.extent(-1), heads * 2 * half, bias: queryBias).named("query")
    return lookUp(queries: query(x).split(into: [heads, 2, half]), in: values)
  }

  /// What is found in a table, from half queries `[…, heads, 2, keyWidth / 2]` → `[…, valueWidth]`.
  public func lookUp(queries: Tensor, in values: Tensor) -> Tensor {
    let trace = queries.trace
    var q = queries
    if normalizesQueries { q = LayerNorm.ofKeys(half, eps: normEps).named("query_norm")(q) }
    let bound = 1 / Double(max(1, half)).squareRoot()
    var keyTable = trace[Parameter("keys", [heads, 2, keys, half], .uniform(-bound, bound))]
    if normalizesKeys { keyTable = LayerNorm.ofKeys(half, eps: normEps).named("key_norm")(keyTable) }

    let scores = q.contract(keyTable, "...hsd,hsnd->...hsn")
    let (winners, score) = ProductKeys.additive(scores, candidates: top, top: top)
    let weights = softmax ? score.softmax() : score
    let ids = winners.number(side: keys)
    trace.observeReads(ids, of: keys * keys)
    return values.pooled(ids, weights: weights.insertingAxis(-1))
  }
}

/// A product-key memory, `[…, width]` → `[…, width]`: the look-up and, if values are of another width, an output linear.
public struct ProductKeyMemory: MemoryLayer {
  public let name: String
  public let options: ProductKeyOptions

  public init(_ name: String, _ options: ProductKeyOptions) {
    self.name = name
    self.options = options
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.trace.memory(name) {
      let y = options.lookUp(x, in: x.trace[options.values])
      let width = x.extent(-1)
      return width == options.valueWidth ? y : Linear(options.valueWidth, width).named("output")(y)
    }
  }
}

/// A Memory+ layer: output(y · silu(gate(x))) of a product-key look-up y in a table that all layers share.
///
/// Source: Memory Layers at Scale, arXiv 2412.09764.
public struct MemoryPlus: MemoryLayer {
  public let name: String
  /// The memory whose table it reads.
  public let tableOwner: String
  public let options: ProductKeyOptions

  public init(_ name: String, tableOwner: String, _ options: ProductKeyOptions) {
    (self.name, self.tableOwner) = (name, tableOwner)
    self.options = options
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let values = x.trace.memory(tableOwner) { x.trace[options.values] }
    return x.trace.memory(name) {
      let y = options.lookUp(x, in: values)
      let (width, inner) = (x.extent(-1), options.valueWidth)
      let gate = Linear(width, inner).named("gate")
      return Linear(inner, width).named("output")(y * gate(x).silu())
    }
  }
}
