import IR

/// x / √(mean(x²) + eps) · weight, over the last axis.
public struct RMSNorm: Layer {
  public let weight: Parameter?
  public let eps: Double

  public init(_ width: Int, eps: Double = 1e-5, affine: Bool = true) {
    self.init([width], eps: eps, affine: affine)
  }

  /// With a gain for each element of the last axes; the norm is over the last of them alone.
  public init(_ shape: [Int], eps: Double = 1e-5, affine: Bool = true) {
    weight = affine ? Parameter("weight", shape, .ones, decays: false) : nil
    self.eps = eps
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let meanSquare = x.squared().mean(-1, keepingAxes: true)
    let y = x * (meanSquare + eps).reciprocalSquareRoot()
    guard let weight else { return y }
    return y * x.trace[weight]
  }
}

/// (x − mean) / √(variance + eps) · weight + bias, over the last axis; the variance divides by the width.
public struct LayerNorm: Layer {
  public let weight: Parameter?
  public let bias: Parameter?
  public let eps: Double

  /// - Parameter gain: what the weight starts from.
  public init(_ width: Int, eps: Double = 1e-5, affine: Bool = true, bias: Bool = true, gain: Initial = .ones) {
    weight = affine ? Parameter("weight", [width], gain, decays: false) : nil
    self.bias = affine && bias ? Parameter("bias", [width], .zeros, decays: false) : nil
    self.eps = eps
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let centred = x - x.mean(-1, keepingAxes: true)
    let variance = centred.squared().mean(-1, keepingAxes: true)
    var y = centred * (variance + eps).reciprocalSquareRoot()
    if let weight { y = y * x.trace[weight] }
    if let bias { y = y + x.trace[bias] }
    return y
  }
}

/// LayerNorm over every `group` neighbours, with a gain and a bias for each element.
public struct GroupNorm: Layer {
  public let weight: Parameter
  public let bias: Parameter
  public let group: Int
  public let eps: Double

  public init(_ width: Int, group: Int, eps: Double = 1e-5) {
    weight = Parameter("weight", [width], .ones, decays: false)
    bias = Parameter("bias", [width], .zeros, decays: false)
    self.group = group
    self.eps = eps
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    let groups = x.split(into: [-1, group])
    let normed = LayerNorm(group, eps: eps, affine: false)(groups).reshaped(x.shape)
    return normed * x.trace[weight] + x.trace[bias]
  }
}
