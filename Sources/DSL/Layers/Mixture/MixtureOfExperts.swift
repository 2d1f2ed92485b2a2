import IR

/// A feed-forward layer of many experts, of which each token uses few:
///
///     s = gate(router(x)),   y[t] = Σₑ chosen[t, e] · s[t, e] · Expertₑ(x[t])   (+ shared(x[t]))
///
/// from `[batch, tokens, width]`. The scores that weigh the experts also compete for being chosen. Source: Expert Race,
/// arXiv 2503.16057.
public struct MixtureOfExperts: Layer {
  public let router: Router
  public let experts: Experts
  /// A feed-forward layer that every token uses besides.
  public let shared: (any Layer)?
  public let routing: Routing
  public let gate: Gate
  /// Experts that a token has on average.
  public let top: Int
  /// Whether the weights of a token's experts are divided by their sum.
  public let renormalizes: Bool
  /// How much of the expert-race threshold a step keeps.
  public let momentum: Double
  /// Whether the expert race chooses by the threshold that training found, and each pair for itself.
  public let infers: Bool
  /// The last part of the name under which the chosen pairs are observed, `[batch, tokens, experts]` of zeros and ones.
  public static let chosenName = "chosen"
  private let threshold = Parameter("threshold", [], .constant(.infinity), role: .buffer, decays: false)

  public init(
    router: Router, experts: Experts, shared: (any Layer)? = nil, routing: Routing = .expertRace, gate: Gate = .identity,
    top: Int, renormalizes: Bool = false, momentum: Double = 0.95, infers: Bool = false
  ) {
    self.router = router
    self.experts = experts
    self.shared = shared
    self.routing = routing
    self.gate = gate
    self.top = top
    self.renormalizes = renormalizes
    self.momentum = momentum
    self.infers = infers
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard x.trace.require(x.rank == 3, "a mixture of experts wants [batch, tokens, width], got \(x.type)"),
      x.trace.require((1...Swift.max(1, experts.count)).contains(top), "a token cannot have \(top) of \(experts.count) experts")
    else { return x.poisoned }
    let (logits, predicted) = router(x)
    let scores = gate(logits)
    let (chosen, limit) = choose(scores)
    x.trace.observe(Self.chosenName, chosen.cast(to: .f32))
    x.trace.record(RoutingRecord(logits: logits, chosen: chosen, predicted: predicted))
    RoutingHealth(chosen).observe(in: x.trace)

    var weights = chosen.select(scores, else: 0)
    if renormalizes {
      let total = weights.sum(-1, keepingAxes: true)
      weights = weights / (total .== 0).select(total.constant(1), else: total)
    }
    let y = experts(x, chosen: chosen, weights: weights, limit: limit)
    guard let shared else { return y }
    return y + x.trace.scope("shared") { shared(x) }
  }

  /// The chosen pairs `[batch, tokens, experts]`, and how many they are at most.
  private func choose(_ scores: Tensor) -> (chosen: Tensor, limit: Int) {
    guard routing == .expertRace else { return scores.winners(top, by: routing) }
    let threshold = scores.trace[threshold]
    if infers { return (scores.stoppingGradient() .>= threshold.broadcast(to: scores.shape), scores.type.count) }
    let winners = scores.winners(top, by: routing)
    let least = winners.chosen.select(scores.stoppingGradient(), else: .infinity).min()
    let moved = threshold * momentum + least * (1 - momentum)
    scores.trace.update(self.threshold, to: (threshold .== .infinity).select(least, else: moved))
    return winners
  }
}

/// What one mixture of experts decided: its logits and choice, `[batch, tokens, experts]`.
public struct RoutingRecord {
  public let logits: Tensor
  /// Truth values.
  public let chosen: Tensor
  /// What the router's second output, if it has one, says of the model's target: `[batch, tokens, target width]`.
  public let predicted: Tensor?
}
