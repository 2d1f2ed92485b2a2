import IR

/// Generalized hyper-connections (virtual width networks): a state of n slots that are each 1/m of the width.
///
///     x_c = Σᵢ α[i, c] hᵢ,  u = concat(x)        y = T(u), cut        ĥⱼ = Σᵢ B[i, j] yᵢ + Σᵢ α[i, m+j] hᵢ
///     α[i, c] = alpha[i, c] + alpha_scale[i, c] · tanh(rms(hᵢ)·alpha_weight[c] / τ),   τ = √(width/m)
///     B[i, j] = beta[i, j]  + beta_scale[i, j]  · tanh(rms(hⱼ)·beta_weight[i] / τ)
///
/// A linear leads into the virtual width n·width/m and another out of it. Source: Virtual Width Networks, arXiv
/// 2511.11238.
public struct GeneralizedConnections: ResidualScheme, Hashable {
  public var fractions: Int
  public var slots: Int
  public var dynamic: Bool
  public var tanh: Bool
  public var normAffine: Bool
  public var normEps: Double
  /// Normalises groups of the model's width before the linear out; `slots` is then a multiple of `fractions`.
  public var groupNorm: Bool

  public init(
    fractions: Int = 2, slots: Int = 3, dynamic: Bool = true, tanh: Bool = true, normAffine: Bool = true,
    normEps: Double = 1e-5, groupNorm: Bool? = nil
  ) {
    self.fractions = fractions
    self.slots = slots
    self.dynamic = dynamic
    self.tanh = tanh
    self.normAffine = normAffine
    self.normEps = normEps
    self.groupNorm = groupNorm ?? (fractions > 0 && slots % fractions == 0)
  }

  public func expand(_ x: Tensor) -> Tensor {
    let parts = x.fractions(fractions)
    let wide = slots * parts.extent(-1)
    return Linear(x.extent(-1), wide, initial: .identity).named("input")(x).fractions(slots)
  }

  public func collapse(_ state: Tensor) -> Tensor {
    guard state.isState(of: slots, called: "slots") else { return state.poisoned }
    let width = fractions * state.extent(-1)
    var x = state.flattened(last: 2)
    if groupNorm { x = GroupNorm(x.extent(-1), group: width).named("norm")(x) }
    return Linear(x.extent(-1), width, initial: .identity).named("output")(x)
  }

  /// Segment j mod m of `y` goes to slot j.
  public func add(_ y: Tensor, to state: Tensor) -> Tensor {
    let segments = y.fractions(fractions)
    guard state.isState(of: slots, called: "slots"), fractions > 0 else { return state.poisoned }
    let copies = (slots + fractions - 1) / fractions
    let repeated = Tensor.concatenated([Tensor](repeating: segments, count: copies), axis: -2)
    return state + repeated.slice(0..<slots, axis: -2)
  }

  public func connect(_ h: Tensor, number: Int) -> Connection {
    guard h.isState(of: slots, called: "slots"),
      h.trace.require((1...slots).contains(fractions), "\(slots) slots are fewer than \(fractions) fractions")
    else { return h.poisonedConnection }
    let (trace, m, n, part) = (h.trace, fractions, slots, h.extent(-1))
    var alpha = trace[Parameter("alpha", [n, m + n], startAlpha, decays: false)]
    var beta = trace[Parameter("beta", [m, n], startBeta, decays: false)]
    if dynamic {
      let normed = RMSNorm(part, eps: normEps, affine: normAffine).named("norm")(h)
      let alphaWeight = trace[Parameter("alpha_weight", [m + n, part], .zeros)]
      let betaWeight = trace[Parameter("beta_weight", [m, part], .zeros)]
      alpha = alpha + term(normed.contract(alphaWeight, "...ie,ce->...ic"), scaledBy: "alpha_scale", part)
      beta = beta + term(betaWeight.contract(normed, "ie,...je->...ij"), scaledBy: "beta_scale", part)
    }

    let tokens = dynamic ? "..." : ""
    let (read, carry) = (alpha.slice(0..<m), alpha.slice(m..<m + n))
    let u = read.contract(h, tokens + "ic,...ie->...ce").flattened(last: 2)
    trace.observeConnection(read: read, mix: carry, write: beta)
    return Connection(input: u) { y in
      let carried = carry.contract(h, tokens + "ij,...ie->...je")
      return carried + beta.contract(y.fractions(m), tokens + "ij,...ie->...je")
    }
  }

  private func term(_ z: Tensor, scaledBy name: String, _ part: Int) -> Tensor {
    let cooled = z / Double(part).squareRoot()
    let scale = z.trace[Parameter(name, Array(z.shape.suffix(2)), .ones)]
    return scale * (tanh ? cooled.tanh() : cooled)
  }

  /// The first m slots are read, every slot is carried on.
  private var startAlpha: Initial {
    let (m, n) = (fractions, slots)
    return .values((0..<n).flatMap { i in
      (0..<m + n).map { c in c == m + i || (c < m && c == i) ? Float(1) : 0 }
    })
  }

  /// Segment i is written to the slots that hold its copies.
  private var startBeta: Initial {
    .values((0..<fractions).flatMap { i in (0..<slots).map { $0 % fractions == i ? Float(1) : 0 } })
  }
}

extension ResidualScheme where Self == GeneralizedConnections {
  public static func generalized(fractions: Int = 2, slots: Int = 3) -> Self {
    GeneralizedConnections(fractions: fractions, slots: slots)
  }
}
