import DSL
import IR
import Runtime

extension AdamW {
  /// The value of a key `optimizer`.
  init(_ fields: Fields) throws(Diagnostic) {
    var fields = fields
    self.init(
      rate: try LearningRate(&fields), beta1: try fields.number("beta1", default: 0.9, in: 0...0.999_999_999),
      beta2: try fields.number("beta2", default: 0.95, in: 0...0.999_999_999), eps: try fields.number("eps", default: 1e-8),
      decay: try fields.number("weight_decay", default: 0), decaysAll: try fields.bool("decay_all", default: false),
      clip: try fields.number("clip", default: 0), lazyTables: try fields.bool("lazy_tables", default: false),
      tableRule: try fields.choice("table_rule", default: .adam))
    try fields.finish()
  }
}

extension LearningRate {
  fileprivate init(_ fields: inout Fields) throws(Diagnostic) {
    let steps = 0...1 << 40
    let schedule: ScheduleKind = try fields.choice("schedule", default: .constant)
    let total = try fields.int("total", default: 0, in: steps)
    let final = try fields.number("final", default: 0.1)
    try fields.require(schedule == .constant || total > 0, "total", "wants the last step of the cosine, got \(total)")
    self.init(
      try fields.number("learning_rate", default: 1e-3), warmup: try fields.int("warmup", default: 0, in: steps),
      schedule: schedule == .cosine ? .cosine(total: total, final: final) : .constant,
      tables: try fields.number("table_rate", default: 1),
      tableSteps: try fields.int("table_rate_steps", default: 0, in: steps))
  }

  private enum ScheduleKind: String, CaseIterable { case constant, cosine }
}

/// What a parameter's name says about how it is trained.
public enum ParameterNames {
  /// Hashed embedding tables and the values of memories.
  public static func isTable(_ name: String) -> Bool { ".\(name)".contains(".tables.") || name.hasSuffix("values.weight") }

  /// Everything decays but biases, gains of norms, static connections, mHC's scales and tables.
  public static func decays(_ name: String) -> Bool {
    let parts = name.split(separator: ".")
    let owner = parts.count > 1 ? parts[parts.count - 2] : ""
    let isFixed = ["bias", "alpha", "beta", "scale"].contains(parts.last ?? "")
    return !isFixed && !owner.hasSuffix("norm") && !isTable(name)
  }
}
