import IR

/// The learning rate as a function of the number of steps done: warm-up, schedule, and a factor of its own for tables.
public struct LearningRate: Hashable, Sendable {
  public enum Schedule: Hashable, Sendable {
    case constant
    /// From 1 down to `final` at step `total`: final + (1 − final)·½(1 + cos(π·min(1, s / total))).
    case cosine(total: Int, final: Double)
  }

  public var peak: Double
  /// Steps of linear warm-up, min(1, (s + 1) / warmup); 0 for none.
  public var warmup: Int
  public var schedule: Schedule
  /// What the rate of tables is multiplied by.
  public var tables: Double
  /// Steps after which the tables' factor has come down to 1, linearly; 0 if it stays.
  public var tableSteps: Int

  public init(
    _ peak: Double = 1e-3, warmup: Int = 0, schedule: Schedule = .constant, tables: Double = 1, tableSteps: Int = 0
  ) {
    self.peak = peak
    self.warmup = warmup
    self.schedule = schedule
    self.tables = tables
    self.tableSteps = tableSteps
  }

  /// The rate of the coming step, after `done` steps (f32).
  func rate(_ done: Tensor) -> Tensor {
    var rate = done.constant(peak)
    if warmup > 0 { rate = rate * ((done + 1) / Double(warmup)).minimum(1) }
    if case .cosine(let total, let final) = schedule {
      let angle = (done / Double(total)).minimum(1) * Double.pi
      rate = rate * ((angle.cos() + 1) * (0.5 * (1 - final)) + final)
    }
    return rate
  }

  func tableFactor(_ done: Tensor) -> Tensor {
    guard tableSteps > 0 else { return done.constant(tables) }
    let remaining = (1 - done / Double(tableSteps)).maximum(0)
    return remaining * (tables - 1) + 1
  }
}
