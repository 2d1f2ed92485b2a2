import IR
import Ops

// Axes may be counted from the end; none given means all.

extension Tensor {
  public func sum(_ axes: Int..., keepingAxes: Bool = false) -> Tensor { reduce(.sum, axes, keepingAxes) }
  public func max(_ axes: Int..., keepingAxes: Bool = false) -> Tensor { reduce(.maximum, axes, keepingAxes) }
  public func min(_ axes: Int..., keepingAxes: Bool = false) -> Tensor { reduce(.minimum, axes, keepingAxes) }
  /// Whether any truth value holds.
  public func any(_ axes: Int..., keepingAxes: Bool = false) -> Tensor { reduce(.any, axes, keepingAxes) }

  public func mean(_ axes: Int..., keepingAxes: Bool = false) -> Tensor {
    let total = reduce(.sum, axes, keepingAxes)
    let share = Double(total.type.count) / Double(Swift.max(1, type.count))
    return total * share
  }

  /// exp(x) / Σ exp(x) along the last axis.
  ///
  /// The maximum is taken off first, so that nothing overflows; mathematically it cancels, so it has no gradient.
  public func softmax() -> Tensor {
    let shifted = self - max(-1, keepingAxes: true).stoppingGradient()
    let weights = shifted.exp()
    return weights / weights.sum(-1, keepingAxes: true)
  }

  private func reduce(_ kind: Reduction, _ axes: [Int], _ keepingAxes: Bool) -> Tensor {
    var positions: [Int] = []
    for axis in axes.isEmpty ? Array(0..<rank) : axes {
      guard let position = position(ofAxis: axis) else { return poisoned }
      positions.append(position)
    }
    positions.sort()
    guard !positions.isEmpty else { return self }
    let reduced = trace.emit(Reduce(kind, axes: positions), self)
    guard keepingAxes else { return reduced }
    return reduced.reshaped(shape.indices.map { positions.contains($0) ? 1 : shape[$0] })
  }
}
