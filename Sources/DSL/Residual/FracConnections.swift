import IR

/// Frac-connections: the width is cut into m fractions, which are connected as hyper-connections connect streams.
///
///     x_c = Σᵢ α[i, c] hᵢ,  u = concat(x)        y = T(u), cut        ĥⱼ = βⱼ yⱼ + Σᵢ α[i, m+j] hᵢ
///     α[i, c] = alpha[i, c] + alpha_scale · tanh(norm(hᵢ)·alpha_weight[c]),  β likewise
///
/// The state is `[…, m, width/m]`, no larger than a plain one. Source: Frac-Connections, arXiv 2503.14125.
public struct FracConnections: ResidualScheme, Hashable {
  public var fractions: Int
  public var dynamic: Bool
  public var tanh: Bool
  public var norm: CoefficientNorm
  public var normAffine: Bool
  public var normEps: Double

  public init(
    fractions: Int = 4, dynamic: Bool = true, tanh: Bool = true, norm: CoefficientNorm = .rms, normAffine: Bool = true,
    normEps: Double = 1e-5
  ) {
    self.fractions = fractions
    self.dynamic = dynamic
    self.tanh = tanh
    self.norm = norm
    self.normAffine = normAffine
    self.normEps = normEps
  }

  public func expand(_ x: Tensor) -> Tensor {
    x.trace.observe(ConnectionNames.write, x.trace.ones(fractions, fractions, diagonal: true))
    return x.fractions(fractions)
  }
  public func collapse(_ state: Tensor) -> Tensor {
    state.trace.observe(ConnectionNames.read, state.trace.ones(fractions, fractions, diagonal: true))
    return state.flattened(last: 2)
  }
  public func add(_ y: Tensor, to state: Tensor) -> Tensor { state + y.fractions(fractions) }

  public func connect(_ h: Tensor, number: Int) -> Connection {
    guard h.isState(of: fractions, called: "fractions") else { return h.poisonedConnection }
    let (trace, m, part) = (h.trace, fractions, h.extent(-1))
    var alpha = trace[Parameter("alpha", [m, 2 * m], start, decays: false)]
    var beta = trace[Parameter("beta", [m], .ones, decays: false)]
    if dynamic {
      let normed = norm(h, eps: normEps, affine: normAffine)
      let alphaWeight = trace[Parameter("alpha_weight", [2 * m, part], .zeros)]
      let betaWeight = trace[Parameter("beta_weight", [part], .zeros)]
      alpha = alpha + term(normed.contract(alphaWeight, "...ie,ce->...ic"), scaledBy: "alpha_scale")
      beta = beta + term(normed.contract(betaWeight, "...ie,e->...i"), scaledBy: "beta_scale")
    }

    let tokens = dynamic ? "..." : ""
    let (read, carry) = (alpha.slice(0..<m), alpha.slice(m..<2 * m))
    let u = read.contract(h, tokens + "ic,...ie->...ce").flattened(last: 2)
    trace.observeConnection(
      read: read, mix: carry, write: trace.ones(m, m, diagonal: true) * beta.insertingAxis(-1))
    return Connection(input: u) { y in
      carry.contract(h, tokens + "ij,...ie->...je") + beta.insertingAxis(-1) * y.fractions(m)
    }
  }

  private func term(_ z: Tensor, scaledBy name: String) -> Tensor {
    z.trace[Parameter(name, [], .constant(0.01))] * (tanh ? z.tanh() : z)
  }

  /// Every fraction is read and carried on as it is.
  private var start: Initial {
    let m = fractions
    return .values((0..<m).flatMap { i in (0..<2 * m).map { $0 % m == i ? Float(1) : 0 } })
  }
}

extension ResidualScheme where Self == FracConnections {
  public static func frac(_ fractions: Int = 4) -> Self { FracConnections(fractions: fractions) }
}

extension Tensor {
  /// `[…, width]` as `[…, count, width / count]`.
  func fractions(_ count: Int) -> Tensor {
    guard trace.require(rank > 0 && count > 0 && extent(-1) % count == 0, "\(count) fractions do not divide \(type)")
    else { return poisoned }
    return split(into: [count, extent(-1) / count])
  }
}
