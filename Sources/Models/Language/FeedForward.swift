import DSL
import IR
import Runtime

/// The feed-forward part of a block.
struct FeedForwardOptions: Sendable, Hashable {
  var hidden: Int
  var gelu: GELU

  init(hidden: Int, gelu: GELU = .tanh) {
    self.hidden = hidden
    self.gelu = gelu
  }

  /// The value of a key `feed_forward`.
  init(_ fields: Fields) throws(Diagnostic) {
    var fields = fields
    let kind: Kind = try fields.choice("kind", default: .dense)
    guard kind == .dense else { throw fields.failure("kind", "\"\(kind.rawValue)\" is not supported yet") }
    hidden = try fields.size("hidden")
    gelu = try fields.choice("gelu", default: .tanh)
    try fields.finish()
  }

  private enum Kind: String, CaseIterable { case dense, moe }
}
