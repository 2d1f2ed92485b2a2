import IR
import Ops
import Rewriting

extension Pattern {
  static let stopGradientRules: [Pattern] = [stoppedGradient]

  /// `stop_gradient(x) → x`: it has done its work once gradients are made.
  private static let stoppedGradient = Pattern("stop-gradient", on: StopGradient.self) { match, _ throws(NoMatch) in match[0] }
}
