import DSL
import Foundation

extension LearningRate {
  /// The rate of the step after `done` steps, as the training step computes it (but for rounding).
  public func value(after done: Int) -> Double {
    let warm = warmup > 0 ? min(1, Double(done + 1) / Double(warmup)) : 1
    guard case .cosine(let total, let final) = schedule else { return peak * warm }
    let share = min(1, Double(done) / Double(total))
    return peak * warm * (final + (1 - final) * 0.5 * (1 + cos(.pi * share)))
  }
}
