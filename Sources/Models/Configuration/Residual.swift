import DSL
import IR
import Runtime

/// A configured residual scheme.
struct ResidualChoice: Sendable {
  var scheme: any ResidualScheme
  /// What the outputs of sublayers are scaled by in a new model, because their streams are summed at the end.
  var outputScale: Double

  static let plain = ResidualChoice(scheme: PlainResidual(), outputScale: 1)

  /// The value of a key `residual`, if any, in a model of this width.
  init(_ fields: Fields?, width: Int) throws(Diagnostic) {
    guard var fields else {
      self = .plain
      return
    }
    let kind: Kind = try fields.choice("kind", default: .plain)
    switch kind {
    case .plain: self = .plain
    case .hyper:
      let options = try HyperConnections(&fields)
      self.init(scheme: options, outputScale: 1 / Double(options.streams).squareRoot())
    case .mhc:
      let options = try ManifoldConnections(&fields)
      self.init(scheme: options, outputScale: 1 / Double(options.streams).squareRoot())
    case .frac: self.init(scheme: try FracConnections(&fields, width: width), outputScale: 1)
    case .ghc: self.init(scheme: try GeneralizedConnections(&fields, width: width), outputScale: 1)
    }
    try fields.finish()
  }

  private init(scheme: any ResidualScheme, outputScale: Double) {
    self.scheme = scheme
    self.outputScale = outputScale
  }

  enum Kind: String, CaseIterable { case plain, hyper, mhc, frac, ghc }

  /// The shape of the state after the batch axes.
  func stateShape(width: Int) -> [Int] {
    switch scheme {
    case let options as HyperConnections: [options.streams, width]
    case let options as ManifoldConnections: [options.streams, width]
    case let options as FracConnections: [options.fractions, width / options.fractions]
    case let options as GeneralizedConnections: [options.slots, width / options.fractions]
    default: [width]
    }
  }
}

extension Fields {
  /// A number of streams, fractions or slots.
  fileprivate mutating func count(_ key: String, default fallback: Int) throws(Diagnostic) -> Int {
    try int(key, default: fallback, in: 1...256)
  }
}

extension HyperConnections {
  init(_ fields: inout Fields) throws(Diagnostic) {
    self.init(
      streams: try fields.count("rate", default: 4), dynamic: try fields.bool("dynamic", default: true),
      tanh: try fields.bool("tanh", default: true), scale: try fields.bool("scale", default: true),
      norm: try fields.choice("norm", default: .layer), normAffine: try fields.bool("norm_affine", default: false),
      normEps: try fields.number("norm_eps", default: 1e-5), trainAlpha: try fields.bool("train_alpha", default: true),
      trainBeta: try fields.bool("train_beta", default: true))
  }
}

extension ManifoldConnections {
  init(_ fields: inout Fields) throws(Diagnostic) {
    self.init(
      streams: try fields.count("rate", default: 4), iterations: try fields.int("iterations", default: 20, in: 1...1000),
      eps: try fields.number("eps", default: 1e-6), normEps: try fields.number("norm_eps", default: 1e-6),
      head: try fields.bool("head", default: false))
  }
}

extension FracConnections {
  init(_ fields: inout Fields, width: Int) throws(Diagnostic) {
    let rate = try fields.count("rate", default: 4)
    try fields.require(width % rate == 0, "rate", "wants a divisor of the width \(width), got \(rate)")
    self.init(
      fractions: rate, dynamic: try fields.bool("dynamic", default: true), tanh: try fields.bool("tanh", default: true),
      norm: try fields.choice("norm", default: .rms), normAffine: try fields.bool("norm_affine", default: true),
      normEps: try fields.number("norm_eps", default: 1e-5))
  }
}

extension GeneralizedConnections {
  init(_ fields: inout Fields, width: Int) throws(Diagnostic) {
    let fractions = try fields.count("fractions", default: 2)
    let slots = try fields.count("rate", default: 3)
    try fields.require(
      width % fractions == 0, "fractions", "wants a divisor of the width \(width), got \(fractions)")
    try fields.require(slots >= fractions, "rate", "wants at least as many slots as fractions, \(fractions), got \(slots)")
    let groups = try fields.bool("group_norm", default: slots % fractions == 0)
    try fields.require(
      !groups || slots % fractions == 0, "group_norm", "wants \(fractions) fractions to divide \(slots) slots")
    self.init(
      fractions: fractions, slots: slots, dynamic: try fields.bool("dynamic", default: true),
      tanh: try fields.bool("tanh", default: true), normAffine: try fields.bool("norm_affine", default: true),
      normEps: try fields.number("norm_eps", default: 1e-5), groupNorm: groups)
  }
}
