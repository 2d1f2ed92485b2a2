import IR

extension Trace {
  /// Where the tokens of a square grid are, `[grid², width]`; the width is a multiple of 4.
  ///
  ///     wᵢ = 10000^(−i/q),  q = width/4        axis(m) = [sin(m·w), cos(m·w)]
  ///     row of token (y, x) = [axis(x), axis(y)]
  ///
  /// Source: Scalable Diffusion Models with Transformers, arXiv 2212.09748.
  public func gridPositions(grid: Int, width: Int) -> Tensor {
    let table = TensorType.f32(max(0, grid) * max(0, grid), max(0, width))
    guard require(grid > 0 && width > 0 && width % 4 == 0, "positions on a grid want a width that 4 divides, got \(width)")
    else { return poisoned(table) }
    let rates = decayingRates(width / 4)
    let angle = iota(.f32(grid)).insertingAxis(-1) * rates
    let axis = Tensor.concatenated([angle.sin(), angle.cos()])
    let half = [grid, grid, width / 2]
    let column = axis.insertingAxis(0).broadcast(to: half)
    let row = axis.insertingAxis(1).broadcast(to: half)
    return Tensor.concatenated([column, row]).reshaped(table.shape)
  }

  /// 10000^(−i / count), i < count.
  fileprivate func decayingRates(_ count: Int) -> Tensor {
    (iota(.f32(count)) * (-naturalLogarithm(10000) / Double(count))).exp()
  }
}

/// Features of times, from `[…]` to `[…, width]`: [cos(t·f), sin(t·f)] with fᵢ = 10000^(−i/(width/2)).
public struct TimeFeatures: Layer {
  public let width: Int
  /// Even.
  public init(_ width: Int) { self.width = width }

  public func callAsFunction(_ times: Tensor) -> Tensor {
    let trace = times.trace
    guard trace.require(width > 0 && width % 2 == 0, "features of times want an even width, got \(width)") else {
      return trace.poisoned(TensorType(.f32, times.shape + [max(0, width)]))
    }
    let angle = times.cast(to: .f32).insertingAxis(-1) * trace.decayingRates(width / 2)
    return Tensor.concatenated([angle.cos(), angle.sin()])
  }
}
