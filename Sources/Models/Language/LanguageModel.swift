import DSL
import IR
import Runtime

/// A decoder-only language model, from token ids to logits and losses.
struct LanguageModel: Architecture {
  let vocabulary: Int
  let layers: Int
  let decoder: DecoderOptions
  let residual: ResidualChoice
  let embedding: EmbeddingChoice
  let engrams: EngramLayers?
  let prediction: Prediction
  let memory: MemoryChoice
  /// The output head is the token table.
  let tied: Bool

  init(_ fields: inout Fields, _ mode: Configuration.Mode) throws(Diagnostic) {
    vocabulary = try fields.int("vocabulary", in: 1...Fields.largest)
    layers = try fields.int("layers", in: 0...4096)
    tied = try fields.bool("tied", default: false)
    decoder = try DecoderOptions(&fields, mode)
    residual = try ResidualChoice(try fields.fields("residual"), width: decoder.width)
    embedding = try EmbeddingChoice(try fields.fields("embedding"), vocabulary: vocabulary, width: decoder.width)
    engrams = try fields.engrams(vocabulary: vocabulary, width: decoder.width, residual: residual, blocks: layers)
    let surroundings = MemorySurroundings(
      width: decoder.width, layers: layers, hidden: decoder.feedForward.hidden, mode: mode)
    memory = try MemoryChoice(try fields.fields("memory"), in: surroundings)
    prediction = try fields.prediction(decoder)
  }

  var inputs: [ProgramInput] {
    [.tokens(below: vocabulary), .tokens(below: vocabulary, named: "targets", isOptional: true)]
  }

  var isCausal: Bool { decoder.feedForward.mixture?.isCausal ?? true }

  func calibrations() throws(Diagnostic) -> [Calibration] {
    try memory.calibrations(width: decoder.width) { "memories.\($0)" }
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let tokens = inputs.input("tokens")
    let embedded = Stack { embedding }(tokens)
    let trunk = trunk(tokens)(embedded)
    let hidden = Stack { RMSNorm(decoder.width, eps: decoder.normEps).named("norm") }(trunk)
    let logits = head(hidden)
    guard let targets = inputs["targets"] else { return [("logits", logits)] }
    let next = Stack { Apply { $0.crossEntropy(targets) } }(logits)
    var outputs = [("logits", logits), ("loss_next", next)]
    var loss = next
    if let future = futureLoss(TrunkOutput(embedded: embedded, trunk: trunk, hidden: hidden, targets: targets)) {
      outputs.append(("loss_future", future))
      loss = loss + future * prediction.weight
    }
    for other in decoder.feedForward.losses(in: trace) {
      outputs.append((other.name, other.value))
      loss = loss + other.value * other.weight
    }
    if let penalty = MemoryPenalty.sum(in: trace) {
      outputs.append(("loss_penalty", penalty))
      loss = loss + penalty
    }
    return outputs + [("loss", loss)]
  }

  /// From embeddings to what the final norm reads.
  private func trunk(_ tokens: Tensor) -> Stack {
    Stack {
      Expand(residual.scheme).named("residual")
      for index in 0..<layers {
        if let engrams { Apply { engrams($0, tokens, before: index) } }
        DecoderBlock(options: decoder, residual: residual, index: index, memory: memory).named("blocks.\(index)")
        Apply { memory.add(to: $0, after: index, by: residual.scheme) }
      }
      Collapse(residual.scheme).named("residual")
    }
  }

  /// The output head: from normed states to logits.
  var head: Stack {
    Stack {
      if tied {
        Apply { [embedding] in $0.linear($0.trace[embedding.token.layer.weight]) }.named("embed.token")
      } else {
        Linear(decoder.width, vocabulary).named("output")
      }
    }
  }
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
    feedForward = try FeedForwardOptions(try fields.requiredFields("feed_forward"), of: .languageModel, mode)
  }
}

extension Fields {
  fileprivate mutating func engrams(
    vocabulary: Int, width: Int, residual: ResidualChoice, blocks: Int
  ) throws(Diagnostic) -> EngramLayers? {
    guard let fields = try fields("engram") else { return nil }
    guard let streams = residual.wholeStreams else {
      throw failure("engram", "wants whole residual streams: plain, hyper or mhc")
    }
    return try EngramLayers(fields, vocabulary: vocabulary, width: width, streams: streams, blocks: blocks)
  }

  fileprivate mutating func prediction(_ decoder: DecoderOptions) throws(Diagnostic) -> Prediction {
    // The hidden width of further blocks is that of the others, whatever kind of feed-forward those have.
    var feedForward = try requiredFields("feed_forward")
    let hidden = try feedForward.size("hidden")
    return try Prediction(try fields("prediction"), hidden: hidden) { hidden in
      var options = decoder
      options.feedForward = FeedForwardOptions(hidden: hidden)
      return DecoderBlock(options: options, residual: .plain, index: 0)
    }
  }
}
