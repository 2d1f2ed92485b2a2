import IR

/// Hashed n-grams of bytes: to the row of each byte come rows of tables for the bytes that end in it.
///
///     row_q = (Σ_{j<n} x_{t−j} · aʲ) mod rows                for every order n and prime a
///     y = (E[x] + Σ_q E_q[row_q]) / (1 + tables)             divided only with `average`
///
/// The polynomial is one of signed 64-bit integers that wrap around. From `[batch, length]` to `[batch, length, width]`; a
/// negative id is padding and gives a row of zeros. Source: Byte Latent Transformer, arXiv 2412.09871.
public struct ByteHash: Layer {
  /// The byte that power 0 belongs to: the newest in the paper, the oldest of the n-gram in the published code.
  public enum Power: String, Hashable, Sendable, CaseIterable { case newest, oldest }

  public struct Options: Hashable, Sendable {
    public var orders: ClosedRange<Int>
    /// Rows of every table.
    public var rows: Int
    /// One hash function each, and with it a table for every order.
    public var primes: [Int]
    public var power: Power
    public var average: Bool

    public init(
      orders: ClosedRange<Int> = 3...8, rows: Int, primes: [Int] = [1_000_000_007], power: Power = .newest,
      average: Bool = true
    ) {
      self.orders = orders
      self.rows = rows
      self.primes = primes
      self.power = power
      self.average = average
    }

    public var tables: Int { orders.count * primes.count }
  }

  public let options: Options
  public let token: Named<Embedding>
  public let tables: [Named<Embedding>]

  public init(vocabulary: Int, width: Int, _ options: Options) {
    self.options = options
    token = Embedding(rows: vocabulary, width: width).named("token")
    tables = (0..<options.tables).map { number in
      Embedding(rows: options.rows, width: width, isTable: true).named("tables.\(number)")
    }
  }

  /// The row of every table for each position: by order, then by prime.
  public func rows(of tokens: Tensor) -> [Tensor] {
    let history = tokens.history(options.orders.upperBound)
    var rows: [Tensor] = []
    for order in options.orders {
      for prime in options.primes {
        var powers = Modular.wrappingPowers(of: prime, count: order)
        if options.power == .oldest { powers.reverse() }
        guard let hash = Tensor.polynomial(history, powers) else { continue }
        rows.append(hash.remainder(Double(options.rows)))
      }
    }
    return rows
  }

  public func callAsFunction(_ tokens: Tensor) -> Tensor {
    let isToken = tokens .>= 0
    let sum = zip(tables, rows(of: tokens)).reduce(token(tokens)) { $0 + $1.0(isToken.select($1.1, else: -1)) }
    return options.average ? sum / Double(1 + options.tables) : sum
  }
}
