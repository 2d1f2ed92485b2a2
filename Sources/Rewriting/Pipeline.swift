import IR

/// Lists of passes written as text: `simplify,fuse-rows,lower-to-kernels`.
public enum Pipeline {
  /// The passes that a text names, in its order; each name must be one of `known`.
  public static func parse(_ text: String, known: [Pass]) throws(Diagnostic) -> [Pass] {
    var passes: [Pass] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let name = part.trimmingSpaces
      guard !name.isEmpty else { throw Diagnostic("the pipeline '\(text)' has an empty name") }
      passes.append(try pass(named: name, known: known))
    }
    return passes
  }

  /// The pass of a name; a near miss is suggested.
  public static func pass(named name: String, known: [Pass]) throws(Diagnostic) -> Pass {
    if let pass = known.first(where: { $0.name == name }) { return pass }
    throw Diagnostic("no pass is named '\(name)'\(didYouMean(name, among: known.map(\.name)))")
  }
}

extension Substring {
  fileprivate var trimmingSpaces: String {
    String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }
}
