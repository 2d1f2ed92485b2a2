import IR

/// Over-encoding: to the row of each token come rows of hashed tables, for the n-grams that end in it.
///
///     id_n(t) = Σ_{j<n} x_{t−j} · baseʲ                      n = 2 … orders
///     row_q   = id_n mod m_q,   m_q = rows + rowStep·q       q = (n−2)·slices + slice
///     y = (E[x] + Σ_q E_q[row_q] W_qᵀ) / (1 + K)             mixing `sum`, K tables; divided only with `average`
///     y = U · [E[x]; E_0[row_0]; E_1[row_1]; …]              mixing `concat`
///
/// From `[batch, length]` of ids to `[batch, length, width]`; a negative id is padding and gives a row of zeros. Source:
/// Over-Tokenized Transformer, arXiv 2501.16975, section 3.2; `concat` is the form in which it is served.
public struct OverEncoding: Layer {
  public enum Mixing: String, Hashable, Sendable, CaseIterable { case sum, concat }

  public struct Options: Hashable, Sendable {
    /// The largest n-gram, and the tables of each order.
    public var orders, slices: Int
    /// Rows of table 0, and how many more each further table has, so that no two share a mapping.
    public var rows, rowStep: Int
    /// What an n-gram is a number in; at least the vocabulary, if no two are to be one by themselves.
    public var base: Int
    /// The width of a row of a hashed table.
    public var sliceWidth: Int
    public var mixing: Mixing
    public var average: Bool
    /// The token that ends a document, over which n-grams do not reach.
    public var boundary: Int?

    public init(
      orders: Int = 3, slices: Int = 1, rows: Int, rowStep: Int = 2, base: Int, sliceWidth: Int, mixing: Mixing = .sum,
      average: Bool = true, boundary: Int? = nil
    ) {
      self.orders = orders
      self.slices = slices
      self.rows = rows
      self.rowStep = rowStep
      self.base = base
      self.sliceWidth = sliceWidth
      self.mixing = mixing
      self.average = average
      self.boundary = boundary
    }

    /// How many hashed tables there are.
    public var tables: Int { max(0, orders - 1) * slices }
    /// The modulus of table `number`, which is its number of rows.
    public func rows(ofTable number: Int) -> Int { rows + rowStep * number }
    /// The order of the n-grams that table `number` holds.
    public func order(ofTable number: Int) -> Int { 2 + number / slices }
  }

  public let options: Options
  public let token: Named<Embedding>
  public let tables: [Named<Embedding>]
  public let projections: [Named<Linear>]
  public let projection: Named<Linear>?

  public init(vocabulary: Int, width: Int, _ options: Options) {
    self.options = options
    token = Embedding(rows: vocabulary, width: width).named("token")
    let numbers = 0..<options.tables
    // Zeros, so that a new model is the one without tables; then the projections must not be zero.
    tables = numbers.map { number in
      Embedding(rows: options.rows(ofTable: number), width: options.sliceWidth, isTable: true, initial: .zeros)
        .named("tables.\(number)")
    }
    let isSum = options.mixing == .sum
    projections = isSum ? numbers.map { Linear(options.sliceWidth, width).named("projections.\($0)") } : []
    projection = isSum ? nil : Linear(width + options.tables * options.sliceWidth, width).named("projection")
  }

  /// The row of every table for each position, in 64-bit integers: each power is reduced before it is multiplied.
  public func rows(of tokens: Tensor) -> [Tensor] {
    let history = tokens.history(options.orders, boundary: options.boundary)
    return (0..<options.tables).compactMap { table in
      let modulus = options.rows(ofTable: table)
      let powers = Modular.powers(of: options.base, count: options.order(ofTable: table), modulo: modulus)
      return Tensor.polynomial(history, powers)?.remainder(Double(modulus))
    }
  }

  public func callAsFunction(_ tokens: Tensor) -> Tensor {
    let first = token(tokens)
    // Padding has no row in any table, and so adds nothing to any.
    let isToken = tokens .>= 0
    let parts = zip(tables, rows(of: tokens)).map { table, rows in table(isToken.select(rows, else: -1)) }
    if let projection { return projection(Tensor.concatenated([first] + parts)) }
    let sum = zip(projections, parts).reduce(first) { $0 + $1.0($1.1) }
    return options.average ? sum / Double(1 + parts.count) : sum
  }
}
