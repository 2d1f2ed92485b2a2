import DSL
import IR
import Runtime

/// The Engrams of a language model: the value of a key `engram`.
struct EngramLayers: Sendable {
  let options: Engram.Options
  /// Block numbers; Engram k stands before the attention of block `layers[k]`.
  let layers: [Int]
  private let vocabulary, width, streams: Int

  /// - Parameters:
  ///   - streams: of the residual state.
  ///   - blocks: how many there are.
  init(_ fields: Fields, vocabulary: Int, width: Int, streams: Int, blocks: Int) throws(Diagnostic) {
    var fields = fields
    layers = try fields.integers("layers", in: 0...max(0, blocks - 1))
    try fields.require(blocks > 0 || layers.isEmpty, "layers", "names blocks of a model without any")
    try fields.require(Set(layers).count == layers.count, "layers", "names a block twice")
    options = try Engram.Options(&fields, vocabulary: vocabulary)
    try fields.finish()
    (self.vocabulary, self.width, self.streams) = (vocabulary, width, streams)
  }

  /// The state with the Engrams before a block added.
  func callAsFunction(_ state: Tensor, _ tokens: Tensor, before block: Int) -> Tensor {
    layers.enumerated().filter { $0.element == block }.reduce(state) { state, layer in
      state.trace.scope("engrams.\(layer.offset)") {
        Engram(vocabulary: vocabulary, width: width, streams: streams, options)(state, tokens)
      }
    }
  }
}

extension Engram.Options {
  init(_ fields: inout Fields, vocabulary: Int) throws(Diagnostic) {
    self.init(
      orders: try fields.int("orders", default: 3, in: 2...64), heads: try fields.int("heads", default: 8, in: 1...4096),
      rows: try fields.int("rows", in: 1...Fields.largest), rowWidth: try fields.size("row_width"),
      taps: try fields.int("taps", default: 4, in: 1...4096), gate: try fields.choice("gate", default: .sigmoid),
      pad: try fields.int("pad", default: 0, in: 0...max(0, vocabulary - 1)),
      normEps: try fields.number("norm_eps", default: 1e-5))
  }
}

extension ResidualChoice {
  /// How many whole streams of the width the state has, 1 for a plain one; `nil` for states of parts.
  var wholeStreams: Int? {
    switch scheme {
    case is PlainResidual: 1
    case let options as HyperConnections: options.streams
    case let options as ManifoldConnections: options.streams
    default: nil
    }
  }
}
