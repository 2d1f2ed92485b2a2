import IR

/// y = x Wᵀ + b over the last axis; the weight is `[outputs, inputs]`.
public struct Linear: Layer {
  public let weight: Parameter
  public let bias: Parameter?

  public init(_ inputs: Int, _ outputs: Int, bias: Bool = false, initial: Initial = .normal(0.02)) {
    weight = Parameter("weight", [outputs, inputs], initial)
    self.bias = bias ? Parameter("bias", [outputs], .zeros, decays: false) : nil
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let y = x.linear(x.trace[weight])
    guard let bias else { return y }
    return y + x.trace[bias]
  }
}
