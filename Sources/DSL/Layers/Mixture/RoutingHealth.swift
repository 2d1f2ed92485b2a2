import IR
import Ops

extension Trace {
  /// Points out numbers by which a training run shows how a layer is doing; a training log asks for all of them.
  public func observeHealth(_ name: String, _ value: @autoclosure () -> Tensor) { observe("health.\(name)", value()) }

  /// Whether this is the full name of such numbers.
  public static func isHealth(_ name: String) -> Bool { name.split(separator: ".").dropLast().last == "health" }
}

/// How evenly a mixture of experts uses its experts, from its choice `[batch, tokens, experts]`.
///
/// Source: Expert Race, arXiv 2503.16057, figure 13 and table 2.
struct RoutingHealth {
  /// 1 where chosen, `[all tokens, experts]`.
  private let mask: Tensor
  private let experts: Int

  init(_ chosen: Tensor) {
    experts = chosen.extent(-1)
    mask = chosen.cast(to: .f32).reshaped([chosen.type.count / Swift.max(1, experts), experts])
  }

  /// The share of each expert in all pairs; `[experts]`.
  var loads: Tensor {
    let loads = mask.sum(0)
    return loads / loads.sum().maximum(1)
  }

  /// How much the busiest expert has more than the mean, as a share of the mean; 0 is even, experts / top − 1 the worst.
  var maxViolation: Tensor { loads.max() * Double(experts) - 1 }

  /// The share of tokens that no expert takes.
  var idleTokens: Tensor { (mask.sum(1) .== 0).cast(to: .f32).mean() }

  /// The share of pairs of experts that make up the first 95 % of all pairs of experts that a token has together.
  var pairUsage: Tensor {
    let together = mask.contract(mask, "ti,tj->ij")
    let isPair = together.indices(along: 0) .< together.indices(along: 1)
    let counts = isPair.select(together, else: 0).reshaped([experts * experts])
    let sums = counts.trace.emit(Sort(descending: true), [counts], results: 2)[0].cumulativeSum(axis: 0)
    let isUsed = sums .< counts.sum() * 0.95
    return isUsed.cast(to: .f32).sum() / Double(Swift.max(1, experts * (experts - 1) / 2))
  }

  func observe(in trace: Trace) {
    trace.observeHealth("loads", loads)
    trace.observeHealth("max_violation", maxViolation)
    trace.observeHealth("idle_tokens", idleTokens)
    trace.observeHealth("pair_usage", pairUsage)
  }
}

extension RoutingRecord {
  /// How many experts a token has on average at each of some times, `[buckets]`; 0 where there is no image.
  ///
  /// - Parameter times: of the images of the batch, from 0 to 1.
  public func expertsByTime(_ times: Tensor, buckets: Int = 10) -> Tensor {
    let tokens = Double(Swift.max(1, chosen.extent(1)))
    let experts = chosen.cast(to: .f32).sum(1, 2) / tokens
    let bucket = (times * Double(buckets)).cast(to: .i64).maximum(0).minimum(Double(buckets - 1))
    let ones = experts.constant(1)
    return experts.rowSums(by: bucket, count: buckets) / ones.rowSums(by: bucket, count: buckets).maximum(1)
  }
}
