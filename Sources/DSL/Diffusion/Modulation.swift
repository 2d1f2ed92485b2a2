/// x · (1 + scale) + shift, where x is `[batch, length, width]` and each example has its own shift and scale
/// `[batch, width]`.
public struct Modulate: Layer {
  private let shift, scale: Tensor

  public init(shift: Tensor, scale: Tensor) {
    self.shift = shift
    self.scale = scale
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { x * (scale.insertingAxis(1) + 1) + shift.insertingAxis(1) }
}

/// gate · x, where x is `[batch, length, width]` and each example has a gate `[batch, width]`.
public struct Gated: Layer {
  private let gate: Tensor
  public init(by gate: Tensor) { self.gate = gate }
  public func callAsFunction(_ x: Tensor) -> Tensor { gate.insertingAxis(1) * x }
}
