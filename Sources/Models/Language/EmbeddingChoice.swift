import DSL
import IR
import Runtime

/// How a language model turns tokens into vectors: the layer that a key `embedding` describes.
enum EmbeddingChoice: Layer, Sendable {
  case plain(vocabulary: Int, width: Int)
  case overEncoding(OverEncoding.Options, vocabulary: Int, width: Int)
  case byteHash(ByteHash.Options, vocabulary: Int, width: Int)

  init(_ fields: Fields?, vocabulary: Int, width: Int) throws(Diagnostic) {
    guard var fields else {
      self = .plain(vocabulary: vocabulary, width: width)
      return
    }
    let kind: Kind = try fields.choice("kind", default: .plain)
    switch kind {
    case .plain: self = .plain(vocabulary: vocabulary, width: width)
    case .overEncoding:
      let options = try OverEncoding.Options(&fields, vocabulary: vocabulary, width: width)
      self = .overEncoding(options, vocabulary: vocabulary, width: width)
    case .byteHash: self = .byteHash(try ByteHash.Options(&fields), vocabulary: vocabulary, width: width)
    }
    try fields.finish()
  }

  private enum Kind: String, CaseIterable {
    case plain
    case overEncoding = "over-encoding"
    case byteHash = "byte-hash"
  }

  /// From ids `[batch, length]`; parameters stand under `embed`.
  func callAsFunction(_ tokens: Tensor) -> Tensor {
    tokens.trace.scope("embed") {
      switch self {
      case .plain: token(tokens)
      case .overEncoding(let options, let vocabulary, let width): OverEncoding(vocabulary: vocabulary, width: width, options)(tokens)
      case .byteHash(let options, let vocabulary, let width): ByteHash(vocabulary: vocabulary, width: width, options)(tokens)
      }
    }
  }

  var scopeName: String? { nil }

  /// The table of the tokens themselves, which every kind has and an output head may share.
  var token: Named<Embedding> {
    switch self {
    case .plain(let vocabulary, let width), .overEncoding(_, let vocabulary, let width), .byteHash(_, let vocabulary, let width):
      Embedding(rows: vocabulary, width: width).named("token")
    }
  }

  /// How well the rows of hashed tables are chosen.
  var notes: [String] {
    guard case .overEncoding(let options, let vocabulary, _) = self, options.tables > 0 else { return [] }
    let length = HashedRows.collisionLength(base: options.base, rows: options.rows)
    let multiple = Double(options.rows) / Double(vocabulary)
    let verdict = length < 0.5 ? "frequent pairs share rows with frequent ones: take other rows" : "no frequent pairs need share a row"
    return [
      "over-encoding: \(options.rows) rows, \(rounded(multiple)) × the vocabulary; the shortest collision of 2-grams is "
        + "\(rounded(length))·√rows: \(verdict)"
    ]
  }

  private func rounded(_ number: Double) -> Double { (number * 100).rounded() / 100 }

  /// The rows that each hashed table is asked for.
  func rows(of tokens: Tensor) -> [Tensor] {
    switch self {
    case .plain: []
    case .overEncoding(let options, let vocabulary, let width):
      OverEncoding(vocabulary: vocabulary, width: width, options).rows(of: tokens)
    case .byteHash(let options, let vocabulary, let width): ByteHash(vocabulary: vocabulary, width: width, options).rows(of: tokens)
    }
  }
}

extension OverEncoding.Options {
  fileprivate init(_ fields: inout Fields, vocabulary: Int, width: Int) throws(Diagnostic) {
    let orders = try fields.int("orders", default: 3, in: 1...64)
    let slices = try fields.int("slices", default: 1, in: 1...4096)
    let tables = (orders - 1) * slices
    let step = try fields.int("row_step", default: 2, in: 0...Fields.widest)
    let base = try fields.int("base", default: vocabulary, in: 1...Fields.largest)
    let golden = HashedRows.golden(vocabulary: vocabulary)
    let rows = try fields.int("rows", default: golden, in: 1...Fields.largest)
    let share = width / max(1, tables)
    let given = try fields.optionalSize("slice_width")
    try fields.require(
      given != nil || share > 0, "slices", "wants at most \(width) tables to share the width, got \(tables)")
    let boundary = try fields.int("boundary", default: -1, in: -1...Fields.largest)
    self.init(
      orders: orders, slices: slices, rows: rows, rowStep: step, base: base, sliceWidth: given ?? share,
      mixing: try fields.choice("mixing", default: .sum), average: try fields.bool("average", default: true),
      boundary: boundary < 0 ? nil : boundary)
    // Every sum of ids times reduced powers stays below orders · vocabulary · rows.
    let last = self.rows(ofTable: max(0, tables - 1))
    let product = vocabulary.multipliedReportingOverflow(by: last)
    let sum = product.partialValue.multipliedReportingOverflow(by: orders)
    try fields.require(
      !product.overflow && !sum.overflow, "rows",
      "wants row numbers that fit 64 bits: orders · vocabulary · rows are \(orders) · \(vocabulary) · \(last)")
  }
}

extension ByteHash.Options {
  fileprivate init(_ fields: inout Fields) throws(Diagnostic) {
    let first = try fields.int("first", default: 3, in: 1...64)
    let last = try fields.int("last", default: 8, in: 1...64)
    try fields.require(first <= last, "last", "wants an order of at least \(first), got \(last)")
    let rows = try fields.int("rows", in: 1...Fields.largest)
    let primes = fields.has("primes") ? try fields.integers("primes", in: 1...Int.max) : [1_000_000_007]
    try fields.require(!primes.isEmpty, "primes", "wants at least one")
    self.init(
      orders: first...last, rows: rows, primes: primes, power: try fields.choice("power", default: .newest),
      average: try fields.bool("average", default: true))
  }
}
