import IR

extension Tensor {
  /// The variational bound on a learned variance, in bits per dimension: how far the predicted step from t to t−1 is from
  /// the one that x₀ would give.
  ///
  ///     log variance = f · log βₜ + (1−f) · low,   f = (v+1)/2,   low = log(βₜ(1−ᾱₜ₋₁)/(1−ᾱₜ))
  ///     t ≥ 1:  ½(logvar − low − 1 + exp(low − logvar) + gap² · exp(−logvar))
  ///     t = 0:  −log of the probability of x₀'s bin of half-width 1/255
  ///
  /// This tensor is the prediction `[batch, 2C, …]`, of which v is the second half; everything else is a constant for
  /// differentiation, the predicted noise too. Source: Improved Denoising Diffusion Probabilistic Models, arXiv 2102.09672.
  ///
  /// - Parameters:
  ///   - latents, noise: `[batch, C, …]`
  ///   - timesteps: i64 `[batch]`
  public func varianceBound(latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor {
    guard trace.require(rank > 1 && shape[1] % 2 == 0, "wants noise and variance in halves of axis 1, got \(type)") else {
      return trace.poisoned(TensorType(dtype, []))
    }
    let channels = shape[1] / 2
    let half = [shape[0], channels] + shape.dropFirst(2)
    guard trace.require(
      latents.shape == half && noise.shape == half, "wants latents and noise of \(half), got \(latents.type) and \(noise.type)")
    else { return trace.poisoned(TensorType(dtype, [])) }
    let predicted = slice(0..<channels, axis: 1).stoppingGradient()
    let share = (slice(channels..<2 * channels, axis: 1) + 1) * 0.5
    let times = timesteps.cast(to: .f32)
    let levels = NoiseLevels(times)
    let low = levels.logPosterior.perExample(of: self)
    let high = levels.beta.log().perExample(of: self)
    let logVariance = share * high + (1 - share) * low

    // The mean of the step that x₀ would give, minus the predicted one.
    let weight = levels.beta / (levels.lost * (1 - levels.beta)).squareRoot()
    let gap = weight.perExample(of: self) * (predicted - noise.stoppingGradient())
    let growth = logVariance - low
    let divergence = (growth - 1 + (-growth).exp() + gap.squared() * (-logVariance).exp()) * 0.5

    let kept = levels.kept.squareRoot().perExample(of: self)
    let lost = levels.lost.squareRoot().perExample(of: self)
    let x0 = ((latents - lost * noise) / kept).stoppingGradient()
    let isLast = (times .== 0).perExample(of: self)
    let bound = isLast.select(-x0.logBin(gap: gap, logVariance: logVariance), else: divergence)
    return bound.mean() / naturalLogarithm(2)
  }

  /// The log probability of the bin of half-width 1/255 around this value, whose distance from the mean is `gap`.
  ///
  /// The normal distribution is approximated by Φ(z) = ½(1 + tanh(√(2/π)(z + 0.044715z³))) = sigmoid(logit(z)); at the
  /// ends of −1 … 1 the bin reaches to infinity.
  private func logBin(gap: Tensor, logVariance: Tensor) -> Tensor {
    func logit(_ z: Tensor) -> Tensor {
      let cubed = z * z.squared() * 0.044715
      return (z + cubed) * (2 * (2 / Double.pi).squareRoot())
    }
    let precision = (logVariance * -0.5).exp()
    let upper = logit(precision * (gap + 1.0 / 255))
    let lower = logit(precision * (gap - 1.0 / 255))
    // sigmoid(a) − sigmoid(b) = sigmoid(a) · sigmoid(−b) · (1 − exp(b − a)); the plain difference would cancel.
    let fall = lower - upper
    let inside = upper.sigmoid() * (-lower).sigmoid() * -((fall * 0.5).tanh() * (fall.exp() + 1))
    let above = (self .> 0.999).select((-lower).sigmoid(), else: inside)
    return (self .< -0.999).select(upper.sigmoid(), else: above).maximum(1e-12).log()
  }
}
