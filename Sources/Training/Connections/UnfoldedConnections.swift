import IR
import Runtime

/// What every sublayer of a network reads of every earlier output, its residual connections unfolded.
///
///     C[k][j]  = write_j · mix_{j+1} ⋯ mix_{k−1} · read_k        j < k: the weight of output j in the input of k
///     Cᵢ[k][j] = (write_j · mix_{j+1} ⋯ mix_k)ᵢ                  in slot i of the state, as site k leaves it
///
/// The first output is the embedding, the last input what leads out of the network. Of dynamic connections, which differ
/// from token to token, it is the mean over the tokens. Source: Hyper-Connections, arXiv 2409.19606, appendix F.
public struct UnfoldedConnections: Sendable {
  /// The inputs, one a row, and the outputs, one a column; a sublayer of m parts has m of each.
  public let rows, columns: [String]
  public let weights: [[Double]]
  /// For each slot of the state the weights of all outputs, a row a site.
  public let slots: [[[Double]]]
  public let sites: [String]
  /// Tokens that the mean is over.
  public let tokens: Int

  /// From what the residual sites of a network have observed, in the order of the network.
  public init(_ sites: [SiteConnection]) throws(Diagnostic) {
    guard let size = sites.lazy.compactMap({ $0.mix?.rows }).first, size > 0 else {
      throw Diagnostic("the model has no residual sites")
    }
    for site in sites { try site.check(slots: size) }
    tokens = sites.flatMap { [$0.read, $0.mix, $0.write] }.compactMap { $0?.count }.max() ?? 1
    rows = sites.flatMap { site in Self.labels(site.input, site.read?.columns ?? 0) }
    columns = sites.flatMap { site in Self.labels(site.output, site.write?.rows ?? 0) }
    self.sites = sites.filter { $0.mix != nil }.map(\.input)
    var sum = Walk(rows: rows.count, columns: columns.count, slots: size, sites: self.sites.count)
    for token in 0..<tokens { sum.walk(sites, token) }
    let share = 1 / Double(tokens)
    weights = sum.weights.map { $0.map { $0 * share } }
    slots = (0..<size).map { slot in sum.left.map { $0[slot].map { $0 * share } } }
  }

  private static func labels(_ name: String, _ count: Int) -> [String] {
    count == 1 ? [name] : (0..<count).map { "\(name) [\($0)]" }
  }

  /// The way of one token after the other through the network, added up.
  private struct Walk {
    var weights: [[Double]]
    /// The state that each site leaves, without what the site itself wrote: a row a slot.
    var left: [[[Double]]]
    let empty: [[Double]]

    init(rows: Int, columns: Int, slots: Int, sites: Int) {
      let row = [Double](repeating: 0, count: columns)
      empty = [[Double]](repeating: row, count: slots)
      weights = [[Double]](repeating: row, count: rows)
      left = [[[Double]]](repeating: empty, count: sites)
    }

    /// The state is kept as what it holds of each output: `state[slot][output]`.
    mutating func walk(_ sites: [SiteConnection], _ token: Int) {
      var state = empty
      var (row, column, number) = (0, 0, 0)
      for site in sites {
        for part in 0..<(site.read?.columns ?? 0) {
          for (slot, held) in state.enumerated() {
            Self.add(held, times: site.read?[token, slot, part] ?? 0, to: &weights[row])
          }
          row += 1
        }
        if let mix = site.mix {
          var mixed = empty
          for (slot, held) in state.enumerated() {
            for target in mixed.indices { Self.add(held, times: mix[token, slot, target], to: &mixed[target]) }
          }
          state = mixed
          for slot in state.indices { Self.add(state[slot], times: 1, to: &left[number][slot]) }
          number += 1
        }
        for part in 0..<(site.write?.rows ?? 0) {
          for slot in state.indices { state[slot][column] += site.write?[token, part, slot] ?? 0 }
          column += 1
        }
      }
    }

    private static func add(_ values: [Double], times factor: Double, to sum: inout [Double]) {
      guard factor != 0 else { return }
      for (at, value) in values.enumerated() { sum[at] += factor * value }
    }
  }
}

/// What one place of a network does with the residual state; what leads into the state only writes, what leads out of it
/// only reads.
public struct SiteConnection: Sendable {
  public var name: String
  /// `[slots, parts]`, `[slots, slots]` and `[parts, slots]`.
  public var read, mix, write: TokenMatrices?

  public init(_ name: String, read: TokenMatrices? = nil, mix: TokenMatrices? = nil, write: TokenMatrices? = nil) {
    self.name = name
    self.read = read
    self.mix = mix
    self.write = write
  }

  var input: String { mix == nil ? "output" : name }
  var output: String { mix == nil ? "embedding" : name }

  fileprivate func check(slots: Int) throws(Diagnostic) {
    let isRight = (read?.rows ?? slots) == slots && (write?.columns ?? slots) == slots
      && (mix.map { $0.rows == slots && $0.columns == slots } ?? true)
    guard isRight else { throw Diagnostic("'\(name)' connects another number of slots than \(slots)") }
  }
}

/// A matrix for each token, or one for all.
public struct TokenMatrices: Sendable {
  public let count, rows, columns: Int
  private let values: [Double]

  /// The last two axes of a tensor; those in front count tokens.
  public init(_ tensor: HostTensor) throws(Diagnostic) {
    guard tensor.type.rank >= 2 else { throw Diagnostic("a connection is a matrix, got \(tensor.type)") }
    (rows, columns) = (tensor.type.shape[tensor.type.rank - 2], tensor.type.shape[tensor.type.rank - 1])
    count = tensor.type.shape.dropLast(2).reduce(1, *)
    values = tensor.doubles
  }

  subscript(token: Int, row: Int, column: Int) -> Double {
    values[((count == 1 ? 0 : token) * rows + row) * columns + column]
  }
}
