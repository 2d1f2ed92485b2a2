import IR

/// The two forms of x · Φ(x).
public enum GELU: String, Hashable, Sendable, CaseIterable {
  /// ½x(1 + tanh(√(2/π)(x + 0.044715x³)))
  case tanh
  /// ½x(1 + erf(x/√2))
  case exact
}

extension Tensor {
  /// x · sigmoid(x)
  public func silu() -> Tensor { self * sigmoid() }

  public func gelu(_ form: GELU = .tanh) -> Tensor {
    let share: Tensor
    switch form {
    case .tanh:
      let cubed = self * squared() * 0.044715
      share = ((self + cubed) * (2 / Double.pi).squareRoot()).tanh()
    case .exact:
      share = (self * 0.5.squareRoot()).erf()
    }
    return self * 0.5 * (share + 1)
  }
}

/// down(silu(gate(x)) · up(x)), without biases.
public struct SwiGLU: Layer {
  public let gate, up, down: Named<Linear>
  public var scopeName: String? { "feed_forward" }

  public init(_ width: Int, hidden: Int, initial: Initial = .normal(0.02), outputInitial: Initial? = nil) {
    gate = Linear(width, hidden, initial: initial).named("gate")
    up = Linear(width, hidden, initial: initial).named("up")
    down = Linear(hidden, width, initial: outputInitial ?? initial).named("down")
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { down(gate(x).silu() * up(x)) }
}

/// down(gelu(up(x))), with biases.
public struct MLP: Layer {
  public let up, down: Named<Linear>
  public let gelu: GELU
  public var scopeName: String? { "feed_forward" }

  public init(
    _ width: Int, hidden: Int, gelu: GELU = .tanh, initial: Initial? = nil, outputInitial: Initial? = nil
  ) {
    let upward = initial ?? .xavier(inputs: width, outputs: hidden)
    let downward = outputInitial ?? initial ?? .xavier(inputs: hidden, outputs: width)
    up = Linear(width, hidden, bias: true, initial: upward).named("up")
    down = Linear(hidden, width, bias: true, initial: downward).named("down")
    self.gelu = gelu
  }

  public func callAsFunction(_ x: Tensor) -> Tensor { down(up(x).gelu(gelu)) }
}
