import IR

/// Hyper-connections: n residual streams, which every site reads, mixes and writes with weights of its own.
///
///     u = Σᵢ α[i, 0] hᵢ        y = T(u)        ĥⱼ = βⱼ y + Σᵢ α[i, 1+j] hᵢ
///     α[i, c] = alpha[i, c] + alpha_scale · tanh(norm(hᵢ)·alpha_weight[c])
///     βᵢ      = beta[i]     + beta_scale  · tanh(norm(hᵢ)·beta_weight)
///
/// The state is `[…, n, width]`. Static connections lack the dynamic terms. Source: Hyper-Connections, arXiv 2409.19606.
public struct HyperConnections: ResidualScheme, Hashable {
  public var streams: Int
  public var dynamic: Bool
  public var tanh: Bool
  public var scale: Bool
  public var norm: CoefficientNorm
  public var normAffine: Bool
  public var normEps: Double
  /// Without, alpha is frozen and has no dynamic term; likewise beta.
  public var trainAlpha: Bool
  public var trainBeta: Bool

  public init(
    streams: Int = 4, dynamic: Bool = true, tanh: Bool = true, scale: Bool = true, norm: CoefficientNorm = .layer,
    normAffine: Bool = false, normEps: Double = 1e-5, trainAlpha: Bool = true, trainBeta: Bool = true
  ) {
    self.streams = streams
    self.dynamic = dynamic
    self.tanh = tanh
    self.scale = scale
    self.norm = norm
    self.normAffine = normAffine
    self.normEps = normEps
    self.trainAlpha = trainAlpha
    self.trainBeta = trainBeta
  }

  public func expand(_ x: Tensor) -> Tensor { x.repeated(streams) }
  public func collapse(_ state: Tensor) -> Tensor { state.sumOfStreams(streams) }
  public func add(_ y: Tensor, to state: Tensor) -> Tensor { state + y.insertingAxis(-2) }

  public func connect(_ h: Tensor, number: Int) -> Connection {
    guard h.isState(of: streams, called: "streams") else { return h.poisonedConnection }
    let (read, mix, write) = coefficients(of: h, number: number)
    let tokens = mix.rank > 2 ? "..." : ""
    let u = read.contract(h, tokens + "i,...id->...d")
    h.trace.observeConnection(read: read.insertingAxis(-1), mix: mix, write: write.insertingAxis(-2))
    return Connection(input: u) { y in
      let mixed = mix.contract(h, tokens + "ij,...id->...jd")
      return mixed + write.insertingAxis(-1) * y.insertingAxis(-2)
    }
  }

  /// The weights with which the site with this number reads a state `[…, n, width]`, `[…, n]`; mixes it, `[…, n, n]`; and
  /// writes to it, `[…, n]`. Static ones are the same for every token and lack its axes.
  public func coefficients(of h: Tensor, number: Int) -> (read: Tensor, mix: Tensor, write: Tensor) {
    let (trace, n, width) = (h.trace, streams, h.extent(-1))
    let alphaDynamic = dynamic && trainAlpha
    let betaDynamic = dynamic && trainBeta
    let normed = dynamic ? norm(h, eps: normEps, affine: normAffine) : h

    let alphaRole = trainAlpha ? Parameter.Role.trained : .frozen
    var alpha = trace[Parameter("alpha", [n, n + 1], start(number), role: alphaRole, decays: false)]
    if alphaDynamic {
      let weight = trace[Parameter("alpha_weight", [n + 1, width], .zeros)]
      alpha = alpha + term(normed.contract(weight, "...id,cd->...ic"), scaledBy: "alpha_scale")
    }
    let betaRole = trainBeta ? Parameter.Role.trained : .frozen
    var beta = trace[Parameter("beta", [n], .ones, role: betaRole, decays: false)]
    if betaDynamic {
      let weight = trace[Parameter("beta_weight", [width], .zeros)]
      beta = beta + term(normed.contract(weight, "...id,d->...i"), scaledBy: "beta_scale")
    }
    return (alpha.at(0), alpha.slice(1..<n + 1), beta)
  }

  private func term(_ z: Tensor, scaledBy name: String) -> Tensor {
    let z = tanh ? z.tanh() : z
    return scale ? z.trace[Parameter(name, [], .constant(0.01))] * z : z
  }

  /// Reads stream `number mod n` and keeps every stream: the network equals the pre-norm one.
  private func start(_ number: Int) -> Initial {
    let n = streams
    return .values((0..<n).flatMap { i in
      (0...n).map { c in (c == 0 ? i == number % n : c == i + 1) ? Float(1) : 0 }
    })
  }
}

extension ResidualScheme where Self == HyperConnections {
  public static func hyper(streams: Int = 4, dynamic: Bool = true) -> Self {
    HyperConnections(streams: streams, dynamic: dynamic)
  }
}

extension Tensor {
  /// `count` copies of `[…, width]`, as `[…, count, width]`.
  func repeated(_ count: Int) -> Tensor {
    guard trace.require(rank > 0 && count > 0, "wants an axis to repeat \(count) times, got \(type)") else {
      return poisoned
    }
    trace.observe(ConnectionNames.write, trace.ones(1, count))
    return insertingAxis(-2).broadcast(to: shape.dropLast() + [count, extent(-1)])
  }

  /// The streams of a state added up.
  func sumOfStreams(_ count: Int) -> Tensor {
    trace.observe(ConnectionNames.read, trace.ones(count, 1))
    return sum(-2)
  }
}
