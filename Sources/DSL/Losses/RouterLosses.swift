import IR

// What is asked of a router besides a good output; for logits and choices `[…, experts]`.

extension Tensor {
  /// How alike the experts' probabilities are where the experts are chosen together. With P = softmax(logits) and M the choice, each
  /// `[tokens, E]`, P′ = PᵀP and M′ = MᵀM:
  ///
  ///     1/tokens · Σ W ∘ P′,   W[i, i] = E · M′[i, i] / Σⱼ M′[j, j],   W[i, j] = (E² − E) · M′[i, j] / Σ_{a≠b} M′[a, b]
  ///
  /// W is a constant; an empty sum divides by 1. 1 for experts that are used alike, alone and in pairs. Source: Expert Race,
  /// arXiv 2503.16057, equations 9 to 11.
  public func routerSimilarity(_ chosen: Tensor) -> Tensor {
    let experts = extent(-1)
    let tokens = type.count / Swift.max(1, experts)
    let probabilities = softmax().reshaped([tokens, experts])
    let mask = chosen.cast(to: dtype).reshaped([tokens, experts])
    let correlation = probabilities.contract(probabilities, "ti,tj->ij")
    let together = mask.contract(mask, "ti,tj->ij").stoppingGradient()
    let isOwn = together.indices(along: 0) .== together.indices(along: 1)
    let loads = isOwn.select(together, else: 0)
    let pairs = isOwn.select(together.constant(0), else: together)
    let ofLoads = loads * Double(experts) / loads.sum().maximum(1)
    let ofPairs = pairs * Double(experts * experts - experts) / pairs.sum().maximum(1)
    return ((ofLoads + ofPairs) * correlation).sum() / Double(Swift.max(1, tokens))
  }

  /// E · Σᵢ f[i] · mean P[t, i], f the shares of the experts in all chosen pairs, constants; 1 for experts that are used alike.
  ///
  /// Source: Switch Transformers, arXiv 2101.03961, equation 4.
  public func loadBalance(_ chosen: Tensor) -> Tensor {
    let experts = extent(-1)
    let tokens = type.count / Swift.max(1, experts)
    let mean = softmax().reshaped([tokens, experts]).mean(0)
    let loads = chosen.cast(to: dtype).reshaped([tokens, experts]).sum(0).stoppingGradient()
    return (loads / loads.sum().maximum(1) * mean).sum() * Double(experts)
  }
}
