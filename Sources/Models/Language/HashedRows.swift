import DSL

/// How many rows a table of hashed n-grams is best given.
///
/// Two pairs of tokens share a row of a table with m rows if their difference (Δa, Δb), newest first, lies in the lattice
/// `Δa + base·Δb ≡ 0 (mod m)`. Its shortest vector is at most about 1.07·√m long; the shorter, the more do frequent pairs
/// meet frequent pairs, because ids are ordered by frequency. Whole multiples of the vocabulary are the worst choice.
public enum HashedRows {
  /// The length of the shortest collision, in units of √m. Below 0.5 a table is worth rows fewer than it has.
  public static func collisionLength(base: Int, rows: Int) -> Double {
    // Gauss's reduction of the basis (m, 0), (−base, 1).
    var u = (x: Double(rows), y: 0.0)
    var v = (x: -Double(base % max(1, rows)), y: 1.0)
    func square(_ a: (x: Double, y: Double)) -> Double { a.x * a.x + a.y * a.y }
    if square(u) < square(v) { swap(&u, &v) }
    // Each round halves the longer vector's square at least.
    for _ in 0..<200 {
      let share = ((u.x * v.x + u.y * v.y) / square(v)).rounded()
      u = (u.x - share * v.x, u.y - share * v.y)
      if square(u) >= square(v) { break }
      swap(&u, &v)
    }
    return (square(v) / Double(rows)).squareRoot()
  }

  /// Rows that stay clear of simple fractions of the vocabulary: vocabulary · (multiple + 0.618…), rounded.
  public static func golden(vocabulary: Int, multiple: Int = 16) -> Int {
    max(1, Int((Double(vocabulary) * (Double(multiple) + 0.618_033_988_749_894_9)).rounded()))
  }
}
