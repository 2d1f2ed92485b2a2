import DSL
import IR
import Runtime

/// A transformer block whose norms and outputs a condition modulates (adaLN-Zero), with a residual site around each
/// sublayer.
///
///     (shift₁, scale₁, gate₁, shift₂, scale₂, gate₂) = modulation(silu(c))
///     T₁(u) = gate₁ · attention(norm(u)·(1 + scale₁) + shift₁)
///     T₂(u) = gate₂ · feedForward(norm(u)·(1 + scale₂) + shift₂)
///
/// In a new model the modulation is zero, and the block the identity. Source: Scalable Diffusion Models with Transformers,
/// arXiv 2212.09748.
struct DiffusionBlock: Model {
  let options: DiffusionBlockOptions
  /// The number of the block in the network.
  let index: Int
  /// silu(c), `[batch, width]`.
  let condition: Tensor

  var body: some Layer {
    let modulation = Linear(options.width, 6 * options.width, bias: true, initial: .zeros).named("modulation")
    let parts = modulation(condition).split(into: [6, options.width])
    site("attention_site", 2 * index) {
      norm
      Modulate(shift: parts.at(0, axis: -2), scale: parts.at(1, axis: -2))
      attention.named("attention")
      Gated(by: parts.at(2, axis: -2))
    }
    site("feed_forward_site", 2 * index + 1) {
      norm
      Modulate(shift: parts.at(3, axis: -2), scale: parts.at(4, axis: -2))
      FeedForward(options.width, options.feedForward, of: options.owner, outputScale: options.residual.outputScale)
        .named("feed_forward")
      Gated(by: parts.at(5, axis: -2))
    }
  }

  private func site(_ name: String, _ number: Int, @LayerBuilder _ sublayer: () -> Stack) -> Residual {
    Residual(options.residual.scheme, site: name, number: number, sublayer)
  }

  private var norm: LayerNorm { LayerNorm(options.width, eps: options.normEps, affine: false) }

  private var attention: Attention {
    let width = options.width
    return Attention(
      width, heads: options.heads, causal: false, rotaryBase: 0, bias: true, normalized: options.normalizesHeads,
      initial: .xavier(inputs: width, outputs: width),
      outputInitial: .xavier(inputs: width, outputs: width, gain: options.residual.outputScale))
  }
}

/// What the blocks of a diffusion transformer have in common.
struct DiffusionBlockOptions: Sendable {
  var width, heads: Int
  var normEps: Double
  /// RMSNorm over the head width on queries and keys.
  var normalizesHeads: Bool
  var feedForward: FeedForwardOptions
  let owner: FeedForwardOwner
  var residual: ResidualChoice

  /// - Parameter owner: what the block belongs to, a model or nothing.
  init(
    _ fields: inout Fields, of owner: FeedForwardOwner, _ mode: Configuration.Mode
  ) throws(Diagnostic) {
    self.owner = owner
    width = try fields.size("width")
    heads = try fields.size("heads")
    try fields.require(width % heads == 0, "heads", "wants a divisor of the width \(width), got \(heads)")
    normEps = try fields.number("norm_eps", default: 1e-6)
    normalizesHeads = try fields.bool("qk_norm", default: false)
    feedForward = try FeedForwardOptions(try fields.requiredFields("feed_forward"), of: owner, mode)
    residual = try ResidualChoice(try fields.fields("residual"), width: width)
  }
}
