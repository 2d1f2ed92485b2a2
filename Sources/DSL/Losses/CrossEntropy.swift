import IR

extension Tensor {
  /// Mean of −log softmax(logits)[target] over the positions whose target is not negative; 0 if there are none.
  ///
  ///     log Σ exp(x − m) + m − x[target],   m = max x
  ///
  /// The target's logit is picked by comparing positions, so that one pass over a row of logits does it all.
  public func crossEntropy(_ targets: Tensor) -> Tensor {
    let largest = max(-1, keepingAxes: true).stoppingGradient()
    let logSum = (self - largest).exp().sum(-1).log() + largest.at(0)
    let isTarget = indices(along: -1) .== targets.insertingAxis(-1)
    let picked = isTarget.select(self, else: 0).sum(-1)

    let counts = targets .>= 0
    let total = counts.select(logSum - picked, else: 0).sum()
    return total / counts.cast(to: dtype).sum().maximum(1)
  }
}
