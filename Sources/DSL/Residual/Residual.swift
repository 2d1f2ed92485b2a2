import IR

/// How a network carries its residual state from sublayer to sublayer.
public protocol ResidualScheme: Sendable {
  /// The state that a network starts with: from `[…, width]`.
  func expand(_ x: Tensor) -> Tensor
  /// What the network's last norm reads: to `[…, width]`.
  func collapse(_ state: Tensor) -> Tensor
  /// The state with an output added that belongs to no site.
  func add(_ y: Tensor, to state: Tensor) -> Tensor
  /// What the site with this number, counted through the network, does with the state.
  func connect(_ state: Tensor, number: Int) -> Connection
}

/// A residual site at work: what its sublayer reads, and how the sublayer's output gets into the state.
public struct Connection {
  public let input: Tensor
  public let write: (Tensor) -> Tensor

  public init(input: Tensor, write: @escaping (Tensor) -> Tensor) {
    self.input = input
    self.write = write
  }
}

/// A residual site around a sublayer.
///
///     Residual(.hyper(streams: 4)) {
///       RMSNorm(width)
///       Attention(width, heads: 8)
///     }
public struct Residual: Layer {
  private let scheme: any ResidualScheme
  private let name: String?
  private let number: Int?
  private let sublayer: Stack

  /// - Parameters:
  ///   - site: where the site's own parameters stand; without it, beside those of the sublayer.
  ///   - number: of the site in the network, which only the start values ask for; counted if `nil`.
  public init(
    _ scheme: some ResidualScheme = .plain, site: String? = nil, number: Int? = nil, @LayerBuilder _ sublayer: () -> Stack
  ) {
    self.scheme = scheme
    name = site
    self.number = number
    self.sublayer = sublayer()
  }

  public var scopeName: String? { name == nil ? "residual" : nil }

  public func callAsFunction(_ state: Tensor) -> Tensor {
    let number = number ?? state.trace.nextSite()
    let connection = state.trace.scope(name ?? "") { scheme.connect(state, number: number) }
    return connection.write(sublayer(connection.input))
  }
}

/// A sublayer between hyper-connections: `Residual` with `HyperConnections`.
public struct HyperConnected: Layer {
  private let residual: Residual

  public init(
    streams: Int = 4, dynamic: Bool = true, tanh: Bool = true, scale: Bool = true, norm: CoefficientNorm = .layer,
    normAffine: Bool = false, site: String? = nil, @LayerBuilder _ sublayer: () -> Stack
  ) {
    let scheme = HyperConnections(
      streams: streams, dynamic: dynamic, tanh: tanh, scale: scale, norm: norm, normAffine: normAffine)
    residual = Residual(scheme, site: site, sublayer)
  }

  public var scopeName: String? { residual.scopeName }
  public func callAsFunction(_ state: Tensor) -> Tensor { residual(state) }
}

/// Turns activations into a residual state.
public struct Expand: Layer {
  private let scheme: any ResidualScheme
  public init(_ scheme: some ResidualScheme) { self.scheme = scheme }
  public func callAsFunction(_ x: Tensor) -> Tensor { scheme.expand(x) }
}

/// Turns a residual state into activations.
public struct Collapse: Layer {
  private let scheme: any ResidualScheme
  public init(_ scheme: some ResidualScheme) { self.scheme = scheme }
  public func callAsFunction(_ state: Tensor) -> Tensor { scheme.collapse(state) }
}

/// x + T(x)
public struct PlainResidual: ResidualScheme {
  public init() {}
  public func expand(_ x: Tensor) -> Tensor { x }
  public func collapse(_ state: Tensor) -> Tensor { state }
  public func add(_ y: Tensor, to state: Tensor) -> Tensor { state + y }
  public func connect(_ state: Tensor, number: Int) -> Connection { Connection(input: state) { state + $0 } }
}

extension ResidualScheme where Self == PlainResidual {
  public static var plain: Self { PlainResidual() }
}

/// The norm in front of dynamic coefficients.
public enum CoefficientNorm: String, Hashable, Sendable, CaseIterable {
  case layer, rms, none

  func callAsFunction(_ x: Tensor, eps: Double, affine: Bool) -> Tensor {
    let width = x.extent(-1)
    switch self {
    case .layer: return LayerNorm(width, eps: eps, affine: affine).named("norm")(x)
    case .rms: return RMSNorm(width, eps: eps, affine: affine).named("norm")(x)
    case .none: return x
    }
  }
}

extension Tensor {
  /// Whether the state is `[…, count, part]`, as a scheme with `count` streams wants it.
  func isState(of count: Int, called name: String) -> Bool {
    trace.require(count > 0, "there is at least one of \(name), got \(count)")
      && trace.require(rank >= 2 && shape[rank - 2] == count, "wants \(count) \(name) in the last but one axis, got \(type)")
  }

  /// A connection that carries on after an error.
  var poisonedConnection: Connection {
    let poison = poisoned
    return Connection(input: poison) { _ in poison }
  }
}
