/// `; did you mean 'sigmoid'?`, if a candidate is close enough to a misspelt name to be meant; empty otherwise.
public func didYouMean(_ name: String, among candidates: some Collection<String>, sigil: String = "") -> String {
  guard let best = nearest(to: name, among: candidates) else { return "" }
  return "; did you mean '\(sigil.isEmpty ? best : written(sigil, best))'?"
}

/// The candidate that is fewest edits away.
private func nearest(to name: String, among candidates: some Collection<String>) -> String? {
  let limit = max(2, name.count / 3)
  let ranked = candidates.sorted().map { (name: $0, distance: editDistance(name, $0, atMost: limit)) }
  guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
  return best.distance <= limit && best.distance < name.count ? best.name : nil
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`; `limit + 1` for more than `limit`.
private func editDistance(_ a: String, _ b: String, atMost limit: Int) -> Int {
  let (a, b) = (Array(a.utf8.prefix(64)), Array(b.utf8.prefix(64)))
  guard abs(a.count - b.count) <= limit else { return limit + 1 }
  var (before, above) = ([Int](repeating: 0, count: b.count + 1), Array(0...b.count))
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      let replaced = above[j] + (a[i] == b[j] ? 0 : 1)
      var best = min(replaced, above[j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { best = min(best, before[j - 1] + 1) }
      row.append(best)
    }
    (before, above) = (above, row)
  }
  return min(above[b.count], limit + 1)
}
