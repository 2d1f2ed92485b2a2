/// A symmetric matrix, as the statistics of features are.
struct SymmetricMatrix {
  let order: Int
  /// Row by row.
  private(set) var elements: [Double]

  init(order: Int, _ element: (Int, Int) -> Double) {
    self.order = order
    elements = (0..<order * order).map { element($0 / order, $0 % order) }
  }

  subscript(row: Int, column: Int) -> Double { elements[row * order + column] }

  var trace: Double { (0..<order).reduce(0) { $0 + self[$1, $1] } }

  /// The eigenvalues, and the eigenvectors as the columns of a matrix, by Jacobi's rotations.
  ///
  /// Each rotation makes one pair of elements zero; a few sweeps over all pairs leave nothing beside the diagonal.
  func eigen() -> (values: [Double], vectors: [Double]) {
    let n = order
    var a = elements
    var v = (0..<n * n).map { $0 / n == $0 % n ? 1.0 : 0 }
    let size = a.reduce(0) { $0 + $1 * $1 }
    for _ in 0..<60 {
      var beside = 0.0
      for row in 0..<n { for column in 0..<row { beside += a[row * n + column] * a[row * n + column] } }
      if beside <= 1e-26 * size { break }
      for p in 0..<max(0, n - 1) { for q in p + 1..<n { SymmetricMatrix.rotate(&a, &v, n, p, q) } }
    }
    return ((0..<n).map { a[$0 * n + $0] }, v)
  }

  private static func rotate(_ a: inout [Double], _ v: inout [Double], _ n: Int, _ p: Int, _ q: Int) {
    let off = a[p * n + q]
    guard off != 0 else { return }
    let theta = (a[q * n + q] - a[p * n + p]) / (2 * off)
    let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
    let c = 1 / (t * t + 1).squareRoot()
    let s = t * c
    for k in 0..<n {
      let (x, y) = (a[k * n + p], a[k * n + q])
      a[k * n + p] = c * x - s * y
      a[k * n + q] = s * x + c * y
    }
    for k in 0..<n {
      let (x, y) = (a[p * n + k], a[q * n + k])
      a[p * n + k] = c * x - s * y
      a[q * n + k] = s * x + c * y
      let (z, w) = (v[k * n + p], v[k * n + q])
      v[k * n + p] = c * z - s * w
      v[k * n + q] = s * z + c * w
    }
  }

  /// The symmetric square root of a matrix without negative eigenvalues; small negative ones count as zero.
  func squareRoot() -> SymmetricMatrix {
    let (values, vectors) = eigen()
    let roots = values.map { max(0, $0).squareRoot() }
    let n = order
    return SymmetricMatrix(order: n) { row, column in
      (0..<n).reduce(0) { $0 + vectors[row * n + $1] * roots[$1] * vectors[column * n + $1] }
    }
  }

  /// self · other · self
  func sandwiching(_ other: SymmetricMatrix) -> SymmetricMatrix {
    let n = order
    let half = (0..<n * n).map { place in
      (0..<n).reduce(0) { $0 + self[place / n, $1] * other[$1, place % n] }
    }
    return SymmetricMatrix(order: n) { row, column in
      (0..<n).reduce(0) { $0 + half[row * n + $1] * self[$1, column] }
    }
  }
}
