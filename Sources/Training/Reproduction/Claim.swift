import Foundation

/// Something a paper says, and how the results of an experiment are asked about it.
public struct Claim: Sendable {
  public let text: String
  /// `nil` while runs are missing that it is about.
  let judge: @Sendable (Results) -> Judgement?

  public init(_ text: String, judge: @escaping @Sendable (Results) -> Judgement?) {
    self.text = text
    self.judge = judge
  }
}

/// What results say of a claim.
public struct Judgement: Hashable, Sendable {
  public enum Verdict: String, Sendable {
    case held
    case notHeld = "not held"
    /// The seeds differ by more than what is claimed.
    case withinSpread = "within the spread"
  }

  public var verdict: Verdict
  public var evidence: String

  public init(_ verdict: Verdict, _ evidence: String) {
    self.verdict = verdict
    self.evidence = evidence
  }

  /// Whether a difference is further from zero than the seeds' own differ, and to which side.
  static func sign(of difference: Summary) -> Int {
    guard let deviation = difference.deviation, abs(difference.mean) > deviation else { return 0 }
    return difference.mean < 0 ? -1 : 1
  }
}

extension Claim {
  /// One arm's number is below another's, by at least a share of it.
  public static func lower(
    _ arm: String, than other: String, by key: String = Experiment.Key.validation,
    atLeast share: Double = 0, _ text: String
  ) -> Claim {
    Claim(text) { results in
      guard let difference = results.difference(key, of: arm, from: other), let base = results.summary(key, of: other)
      else { return nil }
      let evidence = difference.text(decimals: 4, signed: true)
      switch Judgement.sign(of: difference) {
      case -1: return Judgement(-difference.mean >= share * abs(base.mean) ? .held : .notHeld, evidence)
      case 1: return Judgement(.notHeld, evidence)
      default: return Judgement(.withinSpread, evidence)
      }
    }
  }

  /// One arm's number is not below another's.
  public static func notLower(
    _ arm: String, than other: String, by key: String = Experiment.Key.validation, _ text: String
  ) -> Claim {
    Claim(text) { results in
      guard let difference = results.difference(key, of: arm, from: other) else { return nil }
      let evidence = difference.text(decimals: 4, signed: true)
      if difference.deviation == nil { return Judgement(.withinSpread, evidence) }
      return Judgement(Judgement.sign(of: difference) < 0 ? .notHeld : .held, evidence)
    }
  }

  /// Each arm's number is below that of the one before it.
  public static func falling(
    _ arms: [String], by key: String = Experiment.Key.validation, _ text: String
  ) -> Claim {
    Claim(text) { results in
      var signs: [Int] = []
      var differences: [String] = []
      for (arm, next) in zip(arms, arms.dropFirst()) {
        guard let difference = results.difference(key, of: next, from: arm) else { return nil }
        signs.append(Judgement.sign(of: difference))
        differences.append(difference.text(decimals: 4, signed: true))
      }
      let evidence = differences.joined(separator: ", then ")
      if signs.contains(1) { return Judgement(.notHeld, evidence) }
      return Judgement(signs.contains(0) ? .withinSpread : .held, evidence)
    }
  }

  /// A number of an arm is above a limit.
  public static func above(_ limit: Double, _ arm: String, by key: String, _ text: String) -> Claim {
    beyond(limit, arm, key, text) { $0 > limit }
  }

  /// A number of an arm is below a limit.
  public static func below(_ limit: Double, _ arm: String, by key: String, _ text: String) -> Claim {
    beyond(limit, arm, key, text) { $0 < limit }
  }

  private static func beyond(
    _ limit: Double, _ arm: String, _ key: String, _ text: String, _ holds: @escaping @Sendable (Double) -> Bool
  ) -> Claim {
    Claim(text) { results in
      guard let summary = results.summary(key, of: arm) else { return nil }
      let evidence = summary.text(decimals: 3)
      guard let deviation = summary.deviation, abs(summary.mean - limit) > deviation else {
        return Judgement(.withinSpread, evidence)
      }
      return Judgement(holds(summary.mean) ? .held : .notHeld, evidence)
    }
  }
}
