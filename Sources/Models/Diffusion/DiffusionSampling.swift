import DSL
import Foundation
import IR
import Runtime

/// How images are made from noise, step by step.
public struct DiffusionSampling: Sendable, Hashable {
  public enum Kind: String, Sendable, CaseIterable {
    /// The deterministic way back along the schedule (arXiv 2010.02502, η = 0).
    case ddim
    /// With new noise after every step but the last (arXiv 2006.11239).
    case ddpm
    /// Straight steps along the velocity of a rectified flow.
    case euler
  }

  public var kind: Kind
  public var steps: Int
  /// The weight w of classifier-free guidance, null + w·(label − null); 1 for none.
  public var guidance: Double
  /// The channels that are guided, from the first on; all if `nil`.
  public var guidedChannels: Int?

  public init(_ kind: Kind, steps: Int, guidance: Double = 1, guidedChannels: Int? = nil) {
    self.kind = kind
    self.steps = steps
    self.guidance = guidance
    self.guidedChannels = guidedChannels
  }

  /// The value of a key `sampling`.
  init(_ fields: Fields) throws(Diagnostic) {
    var fields = fields
    kind = try fields.choice("kind", default: .ddim)
    steps = try fields.int("steps", in: DiffusionSampling.steps(kind))
    guidance = try fields.number("guidance", default: 1, in: -1e6...1e6)
    guidedChannels = fields.has("guidance_channels") ? try fields.int("guidance_channels", in: 0...1 << 16) : nil
    try fields.finish()
  }

  /// The numbers of steps that a kind can take: the schedule wants a first and a last one, and has no more than these.
  public static func steps(_ kind: Kind) -> ClosedRange<Int> {
    kind == .euler ? 1...1 << 20 : 2...NoiseSchedule.count
  }
}

/// One step of sampling, as numbers of a program that is the same for all:
///
///     x ← keep · x + move · prediction + exp(½·(low + f·(high − low))) · noise
///
/// where f = (v + 1)/2 of a learned variance, and 0 without.
public struct SamplingStep: Sendable {
  /// What the model is told as time.
  public var time: Double
  public var keep, move: Double
  /// Logarithms of the variance; `nil` where no noise is added.
  public var variance: (low: Double, high: Double)?

  /// keep, move, low and high, as the program takes them.
  public var coefficients: [Double] { [keep, move, variance?.low ?? 0, variance?.high ?? 0] }
}

extension DiffusionSampling {
  /// The steps in the order in which they are made, in double precision.
  ///
  /// Of the schedule, timesteps `keepⱼ = round(j·999/(steps−1))` are left, halves to even; with aⱼ = ᾱ there, bⱼ = aⱼ₋₁
  /// (b₀ = 1) and eⱼ = 1 − aⱼ/bⱼ:
  ///
  ///     x₀   = x/√a − √(1/a − 1)·ε
  ///     ddim: x ← √b·x₀ + √(1−b)·ε
  ///     ddpm: x ← e√b/(1−a)·x₀ + (1−b)√(1−e)/(1−a)·x + √variance·noise
  ///     euler: x ← x − velocity/steps
  public var schedule: [SamplingStep] {
    if kind == .euler {
      return (0..<steps).map { done in
        SamplingStep(time: Double(steps - done) / Double(steps), keep: 1, move: -1 / Double(steps))
      }
    }
    let times = (0..<steps).map { Int((Double($0 * 999) / Double(max(1, steps - 1))).rounded(.toNearestOrEven)) }
    return times.indices.reversed().map { step in
      let a = NoiseSchedule.kept[times[step]]
      let b = step > 0 ? NoiseSchedule.kept[times[step - 1]] : 1
      // x₀ as a sum of x and ε.
      let (ofImage, ofNoise) = (1 / a.squareRoot(), -(1 / a - 1).squareRoot())
      guard kind == .ddpm else {
        return SamplingStep(
          time: Double(times[step]), keep: b.squareRoot() * ofImage,
          move: b.squareRoot() * ofNoise + (1 - b).squareRoot())
      }
      let e = 1 - a / b
      let towards = e * b.squareRoot() / (1 - a)
      let keep = towards * ofImage + (1 - b) * (1 - e).squareRoot() / (1 - a)
      let variance = step > 0 ? (low: log(e * (1 - b) / (1 - a)), high: log(e)) : nil
      return SamplingStep(time: Double(times[step]), keep: keep, move: towards * ofNoise, variance: variance)
    }
  }
}

extension Program {
  /// One step of sampling for `batch` images; the new images take the place of the old.
  ///
  ///     (param/*, input/images, input/time, input/labels, input/coefficients, input/noise) -> input/images
  ///
  /// `time` is a scalar of the model's kind of timesteps, `coefficients` those of a `SamplingStep`; only DDPM takes noise.
  public func samplingStep(_ options: DiffusionSampling, batch: Int) throws(Diagnostic) -> Function {
    guard let model = configuration.architecture as? DiffusionTransformer else {
      throw Diagnostic("only a diffusion transformer makes images")
    }
    try model.check(options)
    let trace = Trace(name: "sampling_step")
    let images = trace.at(#fileID, #line, #column) { model.traceStep(options, batch: batch, in: trace) }
    var function = try trace.finish([(ValueNames.input("images"), images)])
    if let images = function.parameters.firstIndex(where: { function.name(of: $0) == ValueNames.input("images") }) {
      function.donations = [images: 0]
    }
    return function
  }
}

extension DiffusionTransformer {
  /// Throws unless the model can be sampled this way; `location` is where that is asked for.
  func check(_ options: DiffusionSampling, at location: Location = .unknown) throws(Diagnostic) {
    let kind = options.kind
    guard (kind == .euler) == objective.isFlow else {
      let wanted = objective.isFlow ? "\"euler\"" : "\"ddim\" or \"ddpm\""
      throw Diagnostic("the model's objective wants sampling of kind \(wanted), got \"\(kind.rawValue)\"", at: location)
    }
    let steps = DiffusionSampling.steps(kind)
    guard steps.contains(options.steps) else {
      throw Diagnostic("\"\(kind.rawValue)\" wants \(steps.lowerBound) to \(steps.upperBound) steps, got \(options.steps)", at: location)
    }
    if let guided = options.guidedChannels, !(0...channels).contains(guided) {
      throw Diagnostic("'guidance_channels' wants at most the \(channels) channels of the model, got \(guided)", at: location)
    }
  }

  fileprivate func traceStep(_ options: DiffusionSampling, batch: Int, in trace: Trace) -> Tensor {
    let type = TensorType.f32(batch, channels, image, image)
    let images = trace.input(ValueNames.input("images"), type)
    let time = trace.input(ValueNames.input("time"), objective.isFlow ? .f32() : .i64())
    let labels = trace.input(ValueNames.input("labels"), .i64(batch))
    let coefficients = trace.input(ValueNames.input("coefficients"), .f32(4))
    let prediction = guided(images, time, labels, options)

    let next = coefficients.at(0) * images + coefficients.at(1) * prediction.slice(0..<channels, axis: 1)
    guard options.kind == .ddpm else { return next }
    let noise = trace.input(ValueNames.input("noise"), type)
    var logVariance = coefficients.at(2).broadcast(to: type.shape)
    if learnsVariance {
      let share = (prediction.slice(channels..<2 * channels, axis: 1) + 1) * 0.5
      logVariance = logVariance + share * (coefficients.at(3) - coefficients.at(2))
    }
    return next + (logVariance * 0.5).exp() * noise
  }

  /// The prediction for the labels, drawn away from that for no label.
  private func guided(_ images: Tensor, _ time: Tensor, _ labels: Tensor, _ options: DiffusionSampling) -> Tensor {
    let batch = images.extent(0)
    let guided = options.guidedChannels ?? channels
    guard options.guidance != 1, guided > 0 else { return predict(images, time.broadcast(to: [batch]), labels) }
    let both = predict(
      Tensor.concatenated([images, images], axis: 0), time.broadcast(to: [2 * batch]),
      Tensor.concatenated([labels, labels.constant(Double(classes))], axis: 0))
    let (labelled, null) = (both.slice(0..<batch, axis: 0), both.slice(batch..<2 * batch, axis: 0))
    let all = both.extent(1)
    let (of, off) = (labelled.slice(0..<guided, axis: 1), null.slice(0..<guided, axis: 1))
    let mixed = off + (of - off) * options.guidance
    return guided == all ? mixed : Tensor.concatenated([mixed, labelled.slice(guided..<all, axis: 1)], axis: 1)
  }
}
