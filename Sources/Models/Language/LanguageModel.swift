import DSL
import IR
import Runtime

/// A decoder-only language model, from token ids to logits and losses.
struct LanguageModel: Architecture {
  let vocabulary: Int
  let layers: Int
  let decoder: DecoderOptions
  let residual: ResidualChoice
  let memory: MemoryChoice
  /// The output head is the token table.
  let tied: Bool

  init(_ fields: inout Fields, _ mode: Configuration.Mode) throws(Diagnostic) {
    vocabulary = try fields.int("vocabulary", in: 1...Fields.largest)
    layers = try fields.int("layers", in: 0...4096)
    tied = try fields.bool("tied", default: false)
    decoder = try DecoderOptions(&fields, mode)
    residual = try ResidualChoice(try fields.fields("residual"), width: decoder.width)
    try fields.acceptOnly("embedding", kind: "plain", of: ["over-encoding", "byte-hash"])
    let surroundings = MemorySurroundings(
      width: decoder.width, layers: layers, hidden: decoder.feedForward.hidden, mode: mode)
    memory = try MemoryChoice(try fields.fields("memory"), in: surroundings)
    try fields.acceptOnly("prediction", kind: "next", of: ["multi-token", "over-decoding"])
    if fields.has("engram") { throw fields.failure("engram", "is not supported yet") }
  }

  var inputs: [ProgramInput] {
    let axes: [ProgramInput.Axis] = [.free("B"), .free("T")]
    return [ProgramInput("tokens", .i64, axes), ProgramInput("targets", .i64, axes, isOptional: true)]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    guard let tokens = inputs["tokens"] else { preconditionFailure("a language model is traced with tokens") }
    let logits = network(tokens)
    guard let targets = inputs["targets"] else { return [("logits", logits)] }
    let next = logits.crossEntropy(targets)
    var losses = [("loss_next", next)]
    let penalties = trace.records(of: MemoryPenalty.self).map(\.value)
    if let first = penalties.first { losses.append(("loss_penalty", penalties.dropFirst().reduce(first) { $0 + $1 })) }
    let loss = losses.dropFirst().reduce(next) { $0 + $1.1 }
    return [("logits", logits)] + losses + [("loss", loss)]
  }

  /// From ids to logits.
  private var network: Stack {
    let memories = memory.layers
    return Stack {
      token.named("embed.token")
      Expand(residual.scheme).named("residual")
      for index in 0..<layers {
        DecoderBlock(options: decoder, residual: residual, index: index, memories: memories).named("blocks.\(index)")
        Apply { memories.add(to: $0, after: index, by: residual.scheme) }
      }
      Collapse(residual.scheme).named("residual")
      RMSNorm(decoder.width, eps: decoder.normEps).named("norm")
      if tied {
        Apply { [token] in $0.linear($0.trace[token.weight]) }.named("embed.token")
      } else {
        Linear(decoder.width, vocabulary).named("output")
      }
    }
  }

  private var token: Embedding { Embedding(rows: vocabulary, width: decoder.width) }
}

extension DecoderOptions {
  init(_ fields: inout Fields, _ mode: Configuration.Mode) throws(Diagnostic) {
    width = try fields.size("width")
    heads = try fields.size("heads")
    keyHeads = try fields.size("kv_heads", default: heads)
    try fields.require(heads % keyHeads == 0, "kv_heads", "wants a divisor of the \(heads) heads, got \(keyHeads)")
    headWidth = try fields.size("head_width", default: width / heads)
    try fields.require(
      headWidth > 0 && headWidth % 2 == 0, "head_width", "wants an even head width, got \(headWidth)")
    rotaryBase = try fields.number("rope_base", default: 10000)
    normalizesHeads = try fields.bool("qk_norm", default: false)
    normEps = try fields.number("norm_eps", default: 1e-5)
    feedForward = try FeedForwardOptions(try fields.requiredFields("feed_forward"))
  }
}

extension Fields {
  /// Holds an object that need not be there to its one supported kind.
  fileprivate mutating func acceptOnly(_ key: String, kind: String, of planned: [String]) throws(Diagnostic) {
    guard var fields = try fields(key) else { return }
    let found = try fields.text("kind", default: kind)
    if planned.contains(found) { throw fields.failure("kind", "\"\(found)\" is not supported yet in '\(key)'") }
    try fields.require(found == kind, "kind", "wants one of \"\(kind)\", \(planned), got \"\(found)\"")
    try fields.finish()
  }
}
