import DSL
import IR
import Runtime

/// What a diffusion transformer learns to predict.
public enum Objective: Sendable, Hashable {
  /// The noise that was added.
  case noise
  /// The noise, and the variance of the step back, by the bound with this weight.
  case noiseAndVariance(weight: Double)
  /// The velocity noise − data of the straight way between the two; features of times read `timeScale` times the time.
  case flow(timeScale: Double)

  /// The value of a key `objective`.
  init(_ fields: Fields?, learnsVariance: Bool) throws(Diagnostic) {
    guard var fields else {
      self = .noise
      return
    }
    let kind: Kind = try fields.choice("kind", default: .noise)
    switch kind {
    case .noise: self = .noise
    case .noiseAndVariance:
      try fields.require(learnsVariance, "kind", "\"noise-and-variance\" wants 'learn_variance' beside 'objective'")
      self = .noiseAndVariance(weight: try fields.number("variance_weight", default: 1))
    case .flow: self = .flow(timeScale: try fields.number("time_scale", default: 1000))
    }
    try fields.finish()
  }

  private enum Kind: String, CaseIterable {
    case noise
    case noiseAndVariance = "noise-and-variance"
    case flow
  }

  public var isFlow: Bool {
    if case .flow = self { true } else { false }
  }
}
