import DSL
import IR
import Runtime

/// The feed-forward part of a decoder block.
struct FeedForwardOptions: Sendable, Hashable {
  var hidden: Int

  init(hidden: Int) { self.hidden = hidden }

  /// The value of a key `feed_forward` in a language model.
  init(_ fields: Fields) throws(Diagnostic) {
    var fields = fields
    let kind: Kind = try fields.choice("kind", default: .dense)
    guard kind == .dense else { throw fields.failure("kind", "\"\(kind.rawValue)\" is not supported yet") }
    hidden = try fields.size("hidden")
    let _: GELU = try fields.choice("gelu", default: .tanh)
    try fields.finish()
  }

  private enum Kind: String, CaseIterable { case dense, moe }
}
