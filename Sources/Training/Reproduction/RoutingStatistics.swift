import IR
import Runtime

/// How a mixture of experts spreads its tokens, counted over batches.
struct RoutingStatistics {
  private let experts: Int
  private var loads: [Double]
  /// How often two experts have a token in common, row by row.
  private var common: [Double]
  /// Chosen pairs and tokens by the noise of the token's image: twenty parts of the time, the cleanest first.
  private var chosenByTime = [Double](repeating: 0, count: times)
  private var tokensByTime = [Double](repeating: 0, count: times)

  static let times = 20

  init(experts: Int) {
    self.experts = experts
    loads = [Double](repeating: 0, count: experts)
    common = [Double](repeating: 0, count: experts * experts)
  }

  /// Counts what was chosen, `[batch, tokens, experts]` of zeros and ones, for images of some times in 0 ..< 1.
  mutating func add(_ chosen: HostTensor, times: [Double]) {
    let (images, tokens) = (chosen.type.shape[0], chosen.type.shape[1])
    let values = chosen.doubles
    for row in 0..<images * tokens {
      let own = (0..<experts).filter { values[row * experts + $0] != 0 }
      for expert in own {
        loads[expert] += 1
        for other in own where other > expert { common[expert * experts + other] += 1 }
      }
      let part = min(Self.times - 1, max(0, Int(times[row / tokens] * Double(Self.times))))
      chosenByTime[part] += Double(own.count)
      tokensByTime[part] += 1
    }
  }

  /// (largest load − mean load) / mean load; 0 where all are equal.
  var violation: Double {
    let mean = loads.reduce(0, +) / Double(max(1, experts))
    return mean > 0 ? ((loads.max() ?? 0) - mean) / mean : 0
  }

  /// The share of the pairs of experts, the commonest first, that together are less than 95 % of all pairs that occur.
  var usedPairs: Double {
    let counts = (0..<experts).flatMap { row in (0..<row).map { common[$0 * experts + row] } }.sorted(by: >)
    let total = counts.reduce(0, +)
    guard total > 0, !counts.isEmpty else { return 0 }
    var (sum, used) = (0.0, 0)
    for count in counts {
      sum += count
      if sum < 0.95 * total { used += 1 }
    }
    return Double(used) / Double(counts.count)
  }

  /// Mean experts of a token in each part of the time.
  var expertsByTime: [Double] { zip(chosenByTime, tokensByTime).map { $1 > 0 ? $0 / $1 : 0 } }
}
