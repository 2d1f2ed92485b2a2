import DSL
import IR

/// A pre-norm decoder block with a residual site around each sublayer.
struct DecoderBlock: Model, Sendable {
  let options: DecoderOptions
  let residual: ResidualChoice
  /// The number of the block in the network.
  let index: Int
  /// Memories that read its normalised feed-forward input, or take the feed-forward's place.
  var memory = MemoryChoice.none

  var body: some Layer {
    site("attention_site", 2 * index) {
      RMSNorm(options.width, eps: options.normEps).named("attention_norm")
      attention.named("attention")
    }
    site("feed_forward_site", 2 * index + 1) {
      RMSNorm(options.width, eps: options.normEps).named("feed_forward_norm")
      if let replacement = memory.replacement(in: index) {
        Apply { replacement($0) }
      } else {
        Apply { x in
          memory.read(x, in: index)
          return x
        }
        FeedForward(options.width, options.feedForward, of: .languageModel, outputScale: residual.outputScale)
          .named("feed_forward")
      }
    }
  }

  private func site(_ name: String, _ number: Int, @LayerBuilder _ sublayer: () -> Stack) -> Residual {
    Residual(residual.scheme, site: name, number: number, sublayer)
  }

  private var attention: Attention {
    Attention(
      options.width, heads: options.heads, keyHeads: options.keyHeads, headWidth: options.headWidth,
      rotaryBase: options.rotaryBase, normalized: options.normalizesHeads, eps: options.normEps,
      outputInitial: outputInitial)
  }

  private var outputInitial: Initial { .normal(0.02 * residual.outputScale) }
}

/// What the blocks of a language model have in common.
struct DecoderOptions: Sendable, Hashable {
  var width, heads, keyHeads, headWidth: Int
  var rotaryBase: Double
  var normalizesHeads: Bool
  var normEps: Double
  var feedForward: FeedForwardOptions
}
