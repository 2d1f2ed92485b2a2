import DSL
import IR
import Runtime

/// One feed-forward part, with what its router decided.
struct MixtureBlock: Architecture {
  private let width: Int
  private let feedForward: FeedForwardOptions
  private let mode: Configuration.Mode

  init(_ fields: inout Fields, _ mode: Configuration.Mode) throws(Diagnostic) {
    width = try fields.size("width")
    feedForward = try FeedForwardOptions(try fields.requiredFields("feed_forward"), of: .block, mode)
    try fields.require(feedForward.mixture != nil, "feed_forward", "wants the kind \"moe\" in a block of kind \"moe\"")
    self.mode = mode
  }

  var inputs: [ProgramInput] {
    let tokens: [ProgramInput.Axis] = [.free("B"), .free("L")]
    let x = ProgramInput("x", .f32, tokens + [.fixed(width)])
    guard let target = feedForward.mixture?.targetWidth else { return [x] }
    return [x, ProgramInput("target", .f32, tokens + [.fixed(target)], isOptional: mode == .infer)]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    trace.at(#fileID, #line, #column) {
      let y = FeedForward(width, feedForward, of: .block).named("feed_forward")(inputs.input("x"))
      guard let record = trace.records(of: RoutingRecord.self).last else { return [("y", y)] }
      var outputs = [("y", y), ("selected", record.chosen.cast(to: .i64))]
      guard mode == .train else { return outputs }
      outputs.append(("similarity", record.logits.routerSimilarity(record.chosen)))
      outputs.append(("balance", record.logits.loadBalance(record.chosen)))
      if let predicted = record.predicted, let target = inputs["target"] { outputs.append(("plr", predicted.meanSquare(target))) }
      if let threshold = trace.updates.last?.tensor { outputs.append(("threshold", threshold)) }
      return outputs
    }
  }
}

/// The similarity loss of a router's logits and choice.
struct RouterSimilarityBlock: Architecture {
  var inputs: [ProgramInput] {
    let axes: [ProgramInput.Axis] = [.free("B"), .free("L"), .free("E")]
    return [ProgramInput("logits", .f32, axes), ProgramInput("selected", .i64, axes)]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    trace.at(#fileID, #line, #column) { [("loss", inputs.input("logits").routerSimilarity(inputs.input("selected")))] }
  }
}
