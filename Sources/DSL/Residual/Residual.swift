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
    state.trace.observe(ConnectionNames.state, state)
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

extension Trace {
  /// Points out what a site does with the state: u = readᵀ h, ĥ = writeᵀ y + mixᵀ h.
  ///
  /// The state has n slots and a sublayer m parts: `read` is `[…, n, m]`, `mix` `[…, n, n]` and `write` `[…, m, n]`, with
  /// axes in front only where they differ from token to token. What leads into the state observes a write alone, what
  /// leads out of it a read alone.
  func observeConnection(
    read: @autoclosure () -> Tensor, mix: @autoclosure () -> Tensor, write: @autoclosure () -> Tensor
  ) {
    observe(ConnectionNames.read, read())
    observe(ConnectionNames.mix, mix())
    observe(ConnectionNames.write, write())
  }

  /// A matrix of ones, or with `diagonal` the identity.
  func ones(_ rows: Int, _ columns: Int, diagonal: Bool = false) -> Tensor {
    let type = TensorType(.i64, [rows, columns])
    let one = constant(1, TensorType(.f32, [rows, columns]))
    return diagonal ? (iota(type, axis: 0) .== iota(type, axis: 1)).select(one, else: 0) : one
  }
}

/// The last parts of the names under which connections are observed.
public enum ConnectionNames {
  public static let read = "connection.read"
  public static let mix = "connection.mix"
  public static let write = "connection.write"
  /// The state that comes to a site.
  public static let state = "connection.state"
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
  public func expand(_ x: Tensor) -> Tensor {
    x.trace.observe(ConnectionNames.write, x.trace.ones(1, 1))
    return x
  }
  public func collapse(_ state: Tensor) -> Tensor {
    state.trace.observe(ConnectionNames.read, state.trace.ones(1, 1))
    return state
  }
  public func add(_ y: Tensor, to state: Tensor) -> Tensor { state + y }
  public func connect(_ state: Tensor, number: Int) -> Connection {
    let trace = state.trace
    trace.observeConnection(read: trace.ones(1, 1), mix: trace.ones(1, 1), write: trace.ones(1, 1))
    return Connection(input: state) { state + $0 }
  }
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
