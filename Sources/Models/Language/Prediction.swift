import DSL
import IR
import Runtime

/// What a language model predicts besides the next token: the value of a key `prediction`.
enum Prediction: Sendable {
  case next
  /// Further decoder blocks, each of which reads the hidden state before it and the embedding one token on.
  case multiToken(depth: Int, weight: Double, block: DecoderBlock)
  /// Further output heads on one hidden state.
  case overDecoding(orders: Int, weight: Double, rank: Int)

  /// - Parameter block: the block of a depth, with feed-forwards of a hidden width.
  init(
    _ fields: Fields?, hidden: Int, block: (_ hidden: Int) -> DecoderBlock
  ) throws(Diagnostic) {
    guard var fields else {
      self = .next
      return
    }
    let kind: Kind = try fields.choice("kind", default: .next)
    switch kind {
    case .next: self = .next
    case .multiToken:
      let depth = try fields.int("depth", default: 1, in: 1...256)
      let weight = try fields.number("weight", default: 0.1)
      self = .multiToken(depth: depth, weight: weight, block: block(try fields.size("hidden", default: hidden)))
    case .overDecoding:
      self = .overDecoding(
        orders: try fields.int("orders", default: 2, in: 1...256), weight: try fields.number("weight", default: 0.1),
        rank: try fields.int("rank", default: 0, in: 0...Fields.widest))
    }
    try fields.finish()
  }

  private enum Kind: String, CaseIterable {
    case next
    case multiToken = "multi-token"
    case overDecoding = "over-decoding"
  }

  /// What the loss of the further tokens is multiplied by.
  var weight: Double {
    switch self {
    case .next: 0
    case .multiToken(_, let weight, _), .overDecoding(_, let weight, _): weight
    }
  }
}

/// What a trunk leaves for the prediction of further tokens.
struct TrunkOutput {
  /// The embeddings of the tokens, `[batch, length, width]`.
  let embedded: Tensor
  /// The collapsed state before the final norm, and after it.
  let trunk, hidden: Tensor
  let targets: Tensor
}

extension LanguageModel {
  /// The loss of tokens after the next, not yet weighted; `nil` where there are none to predict.
  func futureLoss(_ outputs: TrunkOutput) -> Tensor? {
    switch prediction {
    case .next: nil
    case .multiToken(let depth, _, let block): multiTokenLoss(outputs, depth, block)
    case .overDecoding(let orders, _, let rank): overDecodingLoss(outputs, orders, rank)
    }
  }

  /// Multi-token prediction: the mean of the losses of all depths j ≥ 1,
  ///
  ///     uʲ_t = block_j(M_j [norm(uʲ⁻¹_t); norm(e_{t+j})]),  t < length − j;   the head, shared, predicts x_{t+j+1}
  ///
  /// from u⁰, the trunk before its final norm, and e, the embedding of the input. Source: DeepSeek-V3.
  private func multiTokenLoss(_ outputs: TrunkOutput, _ depth: Int, _ block: DecoderBlock) -> Tensor {
    var state = outputs.trunk
    let losses = (1...depth).map { j in
      let name = "prediction.\(j - 1)"
      let length = max(0, outputs.embedded.extent(1) - j)
      let ahead = outputs.embedded.lasting(length)
      state = state.slice(0..<length, axis: 1)
      let join = Stack {
        Apply { state in
          let normed = RMSNorm(decoder.width, eps: decoder.normEps).named("hidden_norm")(state)
          let next = RMSNorm(decoder.width, eps: decoder.normEps).named("embed_norm")(ahead)
          return Tensor.concatenated([normed, next])
        }.named(name)
        Linear(2 * decoder.width, decoder.width).named("\(name).project")
        block.named("\(name).block")
      }
      state = join(state)
      let normed = Stack { RMSNorm(decoder.width, eps: decoder.normEps).named("\(name).norm") }(state)
      return head(normed).crossEntropy(outputs.targets.lasting(length))
    }
    return losses.dropFirst().reduce(losses[0], +) / Double(depth)
  }

  /// Over-decoding: the sum of the losses of heads j ≥ 1, which predict x_{t+j+1} from the hidden state of t. Together with
  /// the main head they are the softmax over all n-grams whose logits are sums of theirs.
  private func overDecodingLoss(_ outputs: TrunkOutput, _ orders: Int, _ rank: Int) -> Tensor? {
    guard orders > 1 else { return nil }
    let losses = (1..<orders).map { j in
      let length = max(0, outputs.hidden.extent(1) - j)
      let head = Stack {
        if rank > 0 { Linear(decoder.width, rank).named("prediction.\(j - 1).down") }
        Linear(rank > 0 ? rank : decoder.width, vocabulary).named("prediction.\(j - 1).output")
      }
      return head(outputs.hidden.slice(0..<length, axis: 1)).crossEntropy(outputs.targets.lasting(length))
    }
    return losses.dropFirst().reduce(losses[0], +)
  }
}

extension Tensor {
  /// The last `count` places of axis 1.
  fileprivate func lasting(_ count: Int) -> Tensor { slice(extent(1) - count..<extent(1), axis: 1) }
}
