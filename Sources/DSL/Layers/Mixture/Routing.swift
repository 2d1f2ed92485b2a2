/// Which scores of a mixture of experts compete with each other for being chosen.
///
/// Scores have the axes batch, token and expert. Some of them span a pool, in which the largest win; each position along
/// the others has a pool of its own, and all pools have as many winners. Source: Expert Race, arXiv 2503.16057, table 1.
public enum Routing: String, Hashable, Sendable, CaseIterable {
  case tokenChoice = "token-choice"
  case expertChoice = "expert-choice"
  case blChoice = "bl-choice"
  case beChoice = "be-choice"
  case leChoice = "le-choice"
  case expertRace = "expert-race"

  /// The axes of a pool, in the order in which equal scores win.
  public var pool: [Int] {
    switch self {
    case .tokenChoice: [2]
    case .expertChoice: [1]
    case .blChoice: [0, 1]
    case .beChoice: [0, 2]
    case .leChoice: [1, 2]
    case .expertRace: [0, 1, 2]
    }
  }
}

extension Tensor {
  /// Which scores `[batch, tokens, experts]` win, `winners` on average for each token; at least one in every pool.
  ///
  /// Every pool has ⌊batch · tokens · winners / pools⌋ winners. The choice is a constant.
  ///
  /// - Returns: truth values, and how many of them hold.
  public func winners(_ winners: Int, by routing: Routing) -> (chosen: Tensor, limit: Int) {
    let others = (0..<3).filter { !routing.pool.contains($0) }
    let order = others + routing.pool
    let extents = order.map { shape[$0] }
    let pools = extents.prefix(others.count).reduce(1, *)
    let size = extents.dropFirst(others.count).reduce(1, *)
    let count = Swift.max(1, shape[0] * shape[1] * winners / Swift.max(1, pools))
    let chosen = stoppingGradient().transposed(order).reshaped([pools, size]).largest(count)
    return (chosen.reshaped(extents).transposed((0..<3).map { order.firstIndex(of: $0) ?? $0 }), pools * count)
  }
}

/// What a routing logit becomes before it competes and weighs an expert's output.
public enum Gate: String, Hashable, Sendable, CaseIterable {
  case identity, sigmoid, softmax

  public func callAsFunction(_ logits: Tensor) -> Tensor {
    switch self {
    case .identity: logits
    case .sigmoid: logits.sigmoid()
    case .softmax: logits.softmax()
    }
  }
}

/// The logits of a mixture of experts, r = gelu(hidden(x)), z = gate(r); without a hidden layer r = x.
public struct Router {
  public let hidden: Named<Linear>?
  public let gate: Named<Linear>
  /// A second output, of what the model is to predict (per-layer regularization, Expert Race section 3.3).
  public let target: Named<Linear>?
  public let gelu: GELU

  public init(
    _ width: Int, experts: Int, isMLP: Bool = true, targetWidth: Int? = nil, gelu: GELU = .tanh,
    initial: ((_ inputs: Int, _ outputs: Int) -> Initial) = { .xavier(inputs: $0, outputs: $1) }
  ) {
    func linear(_ outputs: Int) -> Linear { Linear(width, outputs, bias: true, initial: initial(width, outputs)) }
    hidden = isMLP ? linear(width).named("hidden") : nil
    gate = linear(experts).named("gate")
    target = targetWidth.map { linear($0).named("target") }
    self.gelu = gelu
  }

  public func callAsFunction(_ x: Tensor) -> (logits: Tensor, target: Tensor?) {
    x.trace.scope("router") {
      let features = hidden.map { $0(x).gelu(gelu) } ?? x
      return (gate(features), target.map { $0(features) })
    }
  }
}
