import IR

/// Mean and covariance of feature vectors.
public struct FeatureStatistics {
  public let count: Int
  let mean: [Double]
  let covariance: SymmetricMatrix

  /// - Parameter features: vectors of one width, one after the other.
  public init(_ features: [Double], width: Int) throws(Diagnostic) {
    let count = width > 0 ? features.count / width : 0
    guard count > 1, features.count == count * width else {
      throw Diagnostic("statistics want at least two vectors of features, got \(count)")
    }
    var mean = [Double](repeating: 0, count: width)
    for (place, value) in features.enumerated() { mean[place % width] += value / Double(count) }
    var products = [Double](repeating: 0, count: width * width)
    for vector in 0..<count {
      let centred = (0..<width).map { features[vector * width + $0] - mean[$0] }
      for row in 0..<width {
        for column in 0..<width { products[row * width + column] += centred[row] * centred[column] }
      }
    }
    self.count = count
    self.mean = mean
    covariance = SymmetricMatrix(order: width) { products[$0 * width + $1] / Double(count - 1) }
  }

  /// The Fréchet distance between the two normal distributions, squared:
  ///
  ///     |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2·(Σ₁^½ Σ₂ Σ₁^½)^½)
  ///
  /// Source: GANs Trained by a Two Time-Scale Update Rule, arXiv 1706.08500.
  public func frechetDistance(to other: FeatureStatistics) -> Double {
    precondition(mean.count == other.mean.count, "features of one width are compared")
    let apart = zip(mean, other.mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let common = covariance.squareRoot().sandwiching(other.covariance).squareRoot()
    return max(0, apart + covariance.trace + other.covariance.trace - 2 * common.trace)
  }
}
