import DSL
import IR
import Runtime

/// What a memory's options depend on in the model around it.
struct MemorySurroundings {
  var width: Int
  /// Blocks of the network; `nil` for a memory alone, which has no placements.
  var layers: Int?
  var hidden: Int
  var mode: Configuration.Mode
}

extension MemoryChoice {
  /// The value of a key `memory`, if any.
  init(_ fields: Fields?, in model: MemorySurroundings) throws(Diagnostic) {
    guard var fields else {
      self = .none
      return
    }
    let name: KindName = try fields.choice("kind", default: model.layers == nil ? nil : KindName.none)
    refreshes = model.mode == .train
    switch name {
    case .none:
      if model.layers == nil { throw fields.failure("kind", "wants a memory, got \"none\"") }
      kind = nil
    case .productKey: kind = .productKey(try ProductKeyOptions(&fields, isPlus: false, model))
    case .plus:
      let options = try ProductKeyOptions(&fields, isPlus: true, model)
      kind = .plus(options, replaces: try fields.bool("replace", default: true))
    case .ultra: kind = .ultra(try UltraMemoryOptions(&fields, isSecond: false, model))
    case .second:
      let options = try UltraMemoryOptions(&fields, isSecond: true, model)
      let ring = try fields.count("ring", default: 1)
      let blocks = options.spread * options.spread
      try fields.require(ring <= blocks, "ring", "wants at most one layer for each of the \(blocks) blocks, got \(ring)")
      kind = .second(options, ring: ring)
    }
    if let layers = model.layers, kind != nil {
      var replaces = false
      if case .plus(_, true) = kind { replaces = true }
      placements = try fields.placements(below: layers, replaceFeedForwards: replaces)
    } else {
      placements = []
    }
    try fields.finish()
  }

  private enum KindName: String, CaseIterable {
    case none
    case productKey = "pkm"
    case plus = "memory-plus"
    case ultra = "ultramem"
    case second = "ultramem-v2"
  }
}

extension Fields {
  fileprivate mutating func count(_ key: String, default fallback: Int? = nil) throws(Diagnostic) -> Int {
    try int(key, default: fallback, in: 1...1 << 20)
  }

  /// `[{"from": 0, "to": 1}, …]`
  fileprivate mutating func placements(
    below layers: Int, replaceFeedForwards: Bool
  ) throws(Diagnostic) -> [MemoryChoice.Placement] {
    guard let json = value("placements") else { return [] }
    let list: [JSON]
    do { list = try json.array() } catch { throw failure("placements", error.message) }
    var placements: [MemoryChoice.Placement] = []
    for entry in list {
      var fields = try Fields(entry, "an entry of 'placements'")
      let from = try fields.int("from", in: 0...1 << 20)
      let to = try fields.int("to", in: 0...1 << 20)
      try fields.require(from <= to, "to", "wants a block from \(from) on, where the memory reads, got \(to)")
      try fields.require(to < layers, "to", "wants one of \(layers) blocks, counted from 0, got \(to)")
      if replaceFeedForwards {
        try fields.require(from == to, "to", "wants block \(from), whose feed-forward the memory replaces, got \(to)")
        let isTaken = placements.contains { $0.from == from }
        try fields.require(!isTaken, "from", "wants a block whose feed-forward no other memory replaces, got \(from)")
      }
      try fields.finish()
      placements.append(MemoryChoice.Placement(from: from, to: to))
    }
    return placements
  }

  /// Holds the table to what memory can be addressed at all.
  fileprivate func requireTable(keys: Int, width: Int) throws(Diagnostic) {
    let (rows, rowOverflow) = keys.multipliedReportingOverflow(by: keys)
    let (count, overflow) = rows.multipliedReportingOverflow(by: width)
    try require(
      !rowOverflow && !overflow && count < 1 << 44, "keys", "makes a table of \(keys)² rows of \(width), which is too large")
  }

  fileprivate func requireTop(_ top: Int, of keys: Int) throws(Diagnostic) {
    try require(top <= keys, "top", "wants at most as many winners as there are keys, \(keys), got \(top)")
  }
}

extension ProductKeyOptions {
  fileprivate init(
    _ fields: inout Fields, isPlus: Bool, _ model: MemorySurroundings
  ) throws(Diagnostic) {
    let keys = try fields.count("keys")
    let top = try fields.count("top")
    try fields.requireTop(top, of: keys)
    let keyWidth = try fields.size("key_width", default: isPlus ? model.width / 2 : nil)
    try fields.require(
      keyWidth > 0 && keyWidth % 2 == 0, "key_width", "wants an even width, to be cut into two halves, got \(keyWidth)")
    let valueWidth = try fields.size("value_width", default: model.width)
    try fields.requireTable(keys: keys, width: valueWidth)
    let norm = try fields.bool(isPlus ? "qk_norm" : "query_norm", default: false)
    self.init(
      keys: keys, top: top, heads: try fields.count("heads", default: 1), keyWidth: keyWidth, valueWidth: valueWidth,
      softmax: try fields.bool("softmax", default: true), queryBias: try fields.bool("query_bias", default: true),
      normalizesQueries: norm, normalizesKeys: isPlus && norm, normEps: try fields.number("norm_eps", default: 1e-5))
  }
}

extension UltraMemoryOptions {
  fileprivate init(_ fields: inout Fields, isSecond: Bool, _ model: MemorySurroundings) throws(Diagnostic) {
    let keys = try fields.count("keys")
    let top = try fields.count("top")
    let expansion = try fields.count("expansion", default: 1)
    let spread = Int(Double(expansion).squareRoot().rounded())
    try fields.require(spread * spread == expansion, "expansion", "wants a perfect square, got \(expansion)")
    let candidates = isSecond ? try fields.count("candidates", default: min(top, 128)) : top
    let limited = isSecond && fields.has("candidates") ? "candidates" : "top"
    try fields.require(
      candidates <= keys * spread, limited,
      "wants at most as many winners of a side as it has keys, \(keys * spread), got \(candidates)")
    try fields.require(
      candidates * candidates >= top, limited, "wants at least \(top) pairs of candidates, got \(candidates)²")

    let heads = try fields.count("heads", default: 1)
    let queries = try fields.count("queries", default: max(1, heads / 2))
    try fields.require(heads % queries == 0, "queries", "wants a divisor of the \(heads) heads, got \(queries)")
    let scoring: Scoring = try fields.choice("scoring", default: .tucker)
    let rank = try fields.int("rank", default: 2, in: 1...64)
    let cores = try fields.count("cores", default: 1)
    let mode: QueryMode = try fields.choice("query_mode", default: isSecond ? .separate : .split)
    let keyWidth = try fields.size("key_width")
    let pieces = scoring == .tucker && mode == .split ? rank : 1
    try fields.require(
      keyWidth % pieces == 0, "key_width", "wants a width that \(pieces) ranks divide, got \(keyWidth)")
    let valueWidth = try fields.size("value_width", default: isSecond ? 3 * model.width / 16 : model.width / 2)
    let slices = scoring == .tucker ? cores : 1
    try fields.require(
      valueWidth > 0 && valueWidth % slices == 0, "value_width",
      "wants a width that \(slices) cores divide, got \(valueWidth)")
    try fields.requireTable(keys: keys * spread, width: 1)
    try fields.requireTable(keys: keys, width: valueWidth)
    var second: SecondVersion?
    if isSecond {
      second = SecondVersion(preWidth: try fields.int("pre_width", default: model.width / 16, in: 0...Fields.widest))
    }
    self.init(
      keys: keys, spread: spread, top: top, heads: heads, candidates: candidates, queries: queries, keyWidth: keyWidth,
      valueWidth: valueWidth, scoring: scoring, rank: rank, cores: cores, queryMode: mode,
      taps: try fields.int("query_conv", default: 0, in: 0...1 << 16),
      penaltyWeight: try fields.number("penalty_weight", default: 0),
      penaltyMargin: try fields.number("penalty_margin", default: 0.15),
      normEps: try fields.number("norm_eps", default: 1e-5), second: second,
      initial: UltraMemoryInitial(layers: model.layers ?? 1, hidden: model.hidden, width: model.width))
  }
}
