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

  /// That of tables.
  public func tableValue(after done: Int) -> Double {
    guard tableSteps > 0 else { return value(after: done) * tables }
    return value(after: done) * (1 + (tables - 1) * max(0, 1 - Double(done) / Double(tableSteps)))
  }
}
