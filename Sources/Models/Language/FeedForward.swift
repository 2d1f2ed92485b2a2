import DSL
import IR
import Runtime

/// The feed-forward part of a block: dense, or a mixture of experts.
struct FeedForwardOptions: Sendable, Hashable {
  /// The hidden width, in a mixture that of one expert.
  var hidden: Int
  var gelu: GELU
  var mixture: MixtureOptions?

  /// A dense one.
  init(hidden: Int, gelu: GELU = .tanh) {
    self.hidden = hidden
    self.gelu = gelu
  }

  /// The value of a key `feed_forward`.
  init(_ fields: Fields, of owner: FeedForwardOwner, _ mode: Configuration.Mode) throws(Diagnostic) {
    var fields = fields
    let kind: Kind = try fields.choice("kind", default: .dense)
    hidden = try fields.size("hidden")
    gelu = try fields.choice("gelu", default: .tanh)
    if kind == .moe { mixture = try MixtureOptions(&fields, of: owner, mode) }
    try fields.finish()
  }

  private enum Kind: String, CaseIterable { case dense, moe }
}

/// What a feed-forward part belongs to: that decides how a dense one looks, and what new tensors are.
enum FeedForwardOwner: Sendable, Hashable {
  /// SwiGLU.
  case languageModel
  /// A GELU MLP; `patchWidth` is how many numbers of its target belong to a token.
  case diffusionTransformer(patchWidth: Int)
  /// A block by itself, dense as in a diffusion transformer.
  case block

  /// The start values of a linear layer.
  func initial(_ inputs: Int, _ outputs: Int, gain: Double = 1) -> Initial {
    self == .languageModel ? .normal(0.02 * gain) : .xavier(inputs: inputs, outputs: outputs, gain: gain)
  }
}

/// The keys of a mixture of experts.
struct MixtureOptions: Sendable, Hashable {
  var experts, top: Int
  var routing: Routing
  var gate: Gate
  var renormalizes: Bool
  var hasRouterMLP: Bool
  /// SwiGLU experts without biases instead of GELU experts with them.
  var isGated: Bool
  /// The hidden width of an expert that every token uses; 0 for none.
  var shared: Int
  var momentum: Double
  /// The weights of the router's losses.
  var similarity, balance, regularization: Double
  /// The width of the router's second output, if it has one.
  var targetWidth: Int?
  var infers: Bool

  fileprivate init(_ fields: inout Fields, of owner: FeedForwardOwner, _ mode: Configuration.Mode) throws(Diagnostic) {
    experts = try fields.size("experts")
    top = try fields.size("top")
    try fields.require(top <= experts, "top", "wants at most the \(experts) experts, got \(top)")
    routing = try fields.choice("routing", default: .expertRace)
    gate = try fields.choice("gate", default: .identity)
    renormalizes = try fields.bool("renormalize", default: false)
    let router: RouterKind = try fields.choice("router", default: .mlp)
    hasRouterMLP = router == .mlp
    let expert: ExpertKind = try fields.choice("expert", default: .gelu)
    isGated = expert == .swiglu
    shared = try fields.int("shared", default: 0, in: 0...Fields.widest)
    momentum = try fields.number("momentum", default: 0.95, in: 0...1)
    similarity = try fields.number("similarity_weight", default: 0)
    balance = try fields.number("balance_weight", default: 0)
    infers = mode == .infer
    regularization = owner == .languageModel ? 0 : try fields.number("plr_weight", default: 0)
    switch owner {
    case .languageModel: targetWidth = nil
    case .diffusionTransformer(let patchWidth): targetWidth = regularization == 0 ? nil : patchWidth
    case .block: targetWidth = try fields.optionalSize("target_width")
    }
  }

  /// Whether a token's experts depend on nothing after it.
  var isCausal: Bool { routing == .tokenChoice || routing == .expertRace && infers }

  private enum RouterKind: String, CaseIterable { case linear, mlp }
  private enum ExpertKind: String, CaseIterable { case gelu, swiglu }
}

/// The feed-forward layer of a block.
struct FeedForward: Layer {
  let width: Int
  let options: FeedForwardOptions
  let owner: FeedForwardOwner
  /// What the start values of the last linear layer are multiplied by.
  let outputScale: Double

  init(_ width: Int, _ options: FeedForwardOptions, of owner: FeedForwardOwner, outputScale: Double = 1) {
    self.width = width
    self.options = options
    self.owner = owner
    self.outputScale = outputScale
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let layer: any Layer =
      if let mixture = options.mixture { self.mixture(mixture) } else {
        dense(hidden: options.hidden, isGated: owner == .languageModel)
      }
    return layer.callAsFunction(x)
  }

  private func dense(hidden: Int, isGated: Bool) -> any Layer {
    let upward = owner.initial(width, hidden)
    let downward = owner.initial(hidden, width, gain: outputScale)
    return isGated
      ? SwiGLU(width, hidden: hidden, initial: upward, outputInitial: downward)
      : MLP(width, hidden: hidden, gelu: options.gelu, initial: upward, outputInitial: downward)
  }

  private func mixture(_ mixture: MixtureOptions) -> MixtureOfExperts {
    let router = Router(
      width, experts: mixture.experts, isMLP: mixture.hasRouterMLP, targetWidth: mixture.targetWidth, gelu: options.gelu
    ) { owner.initial($0, $1) }
    let experts = Experts(
      mixture.experts, width: width, hidden: options.hidden, isGated: mixture.isGated, gelu: options.gelu,
      initial: owner.initial(width, options.hidden),
      outputInitial: owner.initial(options.hidden, width, gain: outputScale))
    return MixtureOfExperts(
      router: router, experts: experts,
      shared: mixture.shared > 0 ? dense(hidden: mixture.shared, isGated: mixture.isGated) : nil,
      routing: mixture.routing, gate: mixture.gate, top: mixture.top, renormalizes: mixture.renormalizes,
      momentum: mixture.momentum, infers: mixture.infers)
  }
}

/// A loss that is added to a model's own.
struct AuxiliaryLoss {
  let name: String
  let value: Tensor
  let weight: Double
}

extension FeedForwardOptions {
  /// The losses of the mixtures that were traced, each the mean over their layers, where they have a weight.
  ///
  /// - Parameter target: what the model is to predict, `[batch, tokens, target width]`.
  func losses(in trace: Trace, target: Tensor? = nil) -> [AuxiliaryLoss] {
    let records = trace.records(of: RoutingRecord.self)
    guard let mixture, !records.isEmpty else { return [] }
    func mean(_ name: String, _ weight: Double, _ loss: (RoutingRecord) -> Tensor?) -> AuxiliaryLoss? {
      let values = weight == 0 ? [] : records.compactMap(loss)
      guard let first = values.first else { return nil }
      let sum = values.dropFirst().reduce(first) { $0 + $1 }
      return AuxiliaryLoss(name: name, value: sum / Double(values.count), weight: weight)
    }
    let all = [
      mean("loss_plr", mixture.regularization) { record in target.flatMap { record.predicted?.meanSquare($0) } },
      mean("loss_similarity", mixture.similarity) { $0.logits.routerSimilarity($0.chosen) },
      mean("loss_balance", mixture.balance) { $0.logits.loadBalance($0.chosen) },
    ]
    return all.compactMap { $0 }
  }
}
