import DSL
import Foundation
import IR
import Models
import Runtime

extension Experiment {
  /// Expert Race, arXiv 2503.16057: routings of a mixture of experts in a diffusion transformer, at equal active
  /// parameters.
  static func expertRace() throws(Diagnostic) -> Experiment {
    let task = ImageTask(side: 8, channels: 1, classes: 10)
    let digits = try ImageData(ImageData.Digits.name, for: task)
    let arms = RaceModel.all
    return Experiment(
      Paper.expertRace.rawValue, title: "Routings of a mixture of experts in a diffusion transformer",
      setup: """
        Diffusion transformers of width 64 with 4 blocks that predict the noise in handwritten digits of 8 × 8 pixels, \
        64 images a step. Mixtures have 8 experts of width 128, of which a token has 2 on average; the dense network is as \
        wide as two. The learning rate is 0.004 for \
        all, chosen after a look at a few runs of one seed; the specification's own trial had 0.001. The noise loss is that on held-out images with all times mixed in a batch.
        """,
      steps: 2000,
      arms: arms.map { model in Arm(model.name, model.title) { model.configuration(steps: $0) } },
      baseline: "dense",
      columns: [
        Column(RaceModel.noiseLoss, "noise loss"), Column(RaceModel.thresholdLoss, "with the threshold"),
        Column(RaceModel.violation, "largest overload", decimals: 2),
        Column(RaceModel.pairs, "pairs used", decimals: 2),
        Column(RaceModel.accuracy, "digits recognised", decimals: 3),
        Column(RaceModel.frechet, "Fréchet distance", decimals: 2),
      ],
      claims: [
        .lower(
          "token-choice", than: "dense", by: RaceModel.noiseLoss,
          "Token choice is below the dense network at equal active parameters"),
        .lower("expert-choice", than: "dense", by: RaceModel.noiseLoss, "Expert choice is, too"),
        .lower("race-similarity", than: "dense", by: RaceModel.noiseLoss, "Expert race is, too"),
        .lower(
          "race-similarity", than: "token-choice", by: RaceModel.noiseLoss,
          "Expert race is below token choice, both with the similarity loss"),
        .lower("race-similarity", than: "expert-choice", by: RaceModel.noiseLoss, "Expert race is below expert choice"),
        .lower("race-similarity", than: "race", by: RaceModel.noiseLoss, "The similarity loss lowers the main loss"),
        .lower("race-similarity", than: "race", by: RaceModel.violation, "It lowers the largest overload"),
        .lower(
          "race", than: "race-similarity", by: RaceModel.pairs,
          "It raises the number of expert pairs that are used"),
        .above(
          1.3, "race-similarity", by: RaceModel.cleanShare,
          "Nearly clean images get more experts: the cleanest tenth 1.3 times those of the noisier half"),
        .below(
          1, "race-similarity", by: RaceModel.thresholdGain,
          "Where all images of a batch have one time, the threshold is better than the best of the batch"),
      ],
      pictures: [
        Picture("experts-by-time.svg", "Experts of a token by the noise of its image") { results in
          let curves = arms.compactMap { model -> LossPlot.Curve? in
            let points = (0..<RoutingStatistics.times).compactMap { part in
              results.summary(RaceModel.expertsAt(part), of: model.name).map {
                LossPlot.Point((Double(part) + 0.5) / Double(RoutingStatistics.times), $0.mean)
              }
            }
            return points.isEmpty ? nil : LossPlot.Curve(model.title, points)
          }
          guard !curves.isEmpty else { return nil }
          return LossPlot(
            title: "Experts of a token, mean of the layers", xLabel: "time: 0 clean, 1 noise", yLabel: "experts", curves
          ).svg()
        }
      ],
      batches: { seed throws(Diagnostic) in ImageBatches(digits, for: task, batch: 64, seed: seed) },
      measure: { arm, trainer throws(Diagnostic) in
        guard let model = arms.first(where: { $0.name == arm.name }) else { return Measurement() }
        return try model.measure(trainer, on: digits)
      })
  }
}

/// One of the diffusion transformers that are compared.
private struct RaceModel {
  let name, title: String
  /// `nil` for the dense network.
  var routing: String?
  var similarity = 0.0

  static let all = [
    RaceModel(name: "dense", title: "dense"),
    RaceModel(name: "token-choice", title: "token choice, similarity loss", routing: "token-choice", similarity: 0.01),
    RaceModel(name: "expert-choice", title: "expert choice", routing: "expert-choice"),
    RaceModel(name: "race", title: "expert race", routing: "expert-race"),
    RaceModel(name: "race-similarity", title: "expert race, similarity loss", routing: "expert-race", similarity: 0.01),
  ]

  static let noiseLoss = "noise_loss", thresholdLoss = "threshold_loss", violation = "largest_overload"
  static let pairs = "used_pairs", accuracy = "recognised", frechet = "frechet_distance"
  static let cleanShare = "experts_clean_to_noisy", thresholdGain = "threshold_to_batch"
  static func expertsAt(_ part: Int) -> String { "experts_at_\(part)" }
  private static let experts = 8

  func configuration(steps: Int, mode: String = "train") -> JSON {
    var feedForward: JSON = ["hidden": 256]
    if let routing {
      feedForward = [
        "kind": "moe", "experts": .integer(Self.experts), "top": 2, "hidden": 128, "routing": .string(routing),
        "gate": "identity", "momentum": 0.99, "similarity_weight": .number(similarity),
      ]
    }
    return [
      "architecture": "diffusion-transformer", "image": 8, "channels": 1, "patch": 2, "width": 64, "layers": 4,
      "heads": 4, "classes": 10, "feed_forward": feedForward, "mode": .string(mode),
      "optimizer": [
        "learning_rate": 4e-3, "beta1": 0.9, "beta2": 0.999, "warmup": .integer(max(1, min(100, steps / 10))),
        "schedule": "cosine", "total": .integer(steps), "final": 0,
      ],
    ]
  }

  func measure(_ trainer: Trainer, on digits: ImageData) throws(Diagnostic) -> Experiment.Measurement {
    var measurement = Experiment.Measurement()
    let (tensors, source) = (try trainer.tensors(), trainer.source)
    let loss = "loss_diffusion"
    func evaluation(_ mode: String) throws(Diagnostic) -> Evaluation {
      try Evaluation(
        Program(Configuration(configuration(steps: 1, mode: mode))), tensors, on: source.types, outputs: [loss],
        observing: { $0.hasSuffix(".\(MixtureOfExperts.chosenName)") }, for: trainer.target, options: trainer.options)
    }
    let (batched, alone) = (try evaluation("train"), try evaluation("infer"))
    var layers: [String: RoutingStatistics] = [:]
    var (batchedLoss, aloneLoss) = (0.0, 0.0)
    let count = source.validationBatches * 4
    for number in 0..<count {
      let batch = try source.validationBatch(number)
      let times = (batch["timesteps"]?.doubles ?? []).map { $0 / Double(NoiseSchedule.count) }
      let results = try alone.run(on: batch)
      batchedLoss += try batched.run(on: batch)[loss]?.doubles[0] ?? .nan
      aloneLoss += results[loss]?.doubles[0] ?? .nan
      for (name, chosen) in results where name != loss {
        layers[name, default: RoutingStatistics(experts: Self.experts)].add(chosen, times: times)
      }
    }
    measurement.numbers[Self.noiseLoss] = batchedLoss / Double(count)
    measurement.numbers[Self.thresholdLoss] = aloneLoss / Double(count)
    add(Array(layers.values), to: &measurement)
    if routing == "expert-race" {
      let (best, threshold) = try singleTimes(batched, alone, digits, source.types, loss)
      measurement.numbers[Self.thresholdGain] = threshold / best
    }
    try judge(trainer, tensors, digits, &measurement)
    return measurement
  }

  private func add(_ layers: [RoutingStatistics], to measurement: inout Experiment.Measurement) {
    guard !layers.isEmpty else { return }
    func mean(_ value: (RoutingStatistics) -> Double) -> Double {
      layers.map(value).sorted().reduce(0, +) / Double(layers.count)
    }
    measurement.numbers[Self.violation] = mean(\.violation)
    measurement.numbers[Self.pairs] = mean(\.usedPairs)
    let byTime = (0..<RoutingStatistics.times).map { part in mean { $0.expertsByTime[part] } }
    for (part, experts) in byTime.enumerated() { measurement.numbers[Self.expertsAt(part)] = experts }
    let half = byTime.suffix(RoutingStatistics.times / 2)
    let noisy = half.reduce(0, +) / Double(half.count)
    measurement.numbers[Self.cleanShare] = (byTime[0] + byTime[1]) / 2 / max(noisy, 1e-9)
  }

  /// The losses on batches whose images all have one time: with the best pairs of the batch, and with the threshold.
  private func singleTimes(
    _ batched: Evaluation, _ alone: Evaluation, _ digits: ImageData, _ types: [String: TensorType], _ loss: String
  ) throws(Diagnostic) -> (best: Double, threshold: Double) {
    guard let images = types["latents"], let batch = images.shape.first else { return (.nan, .nan) }
    var (best, threshold) = (0.0, 0.0)
    for time in stride(from: 25, to: NoiseSchedule.count, by: 50) {
      var random = SplitMix64(seed: UInt64(time))
      var (latents, noise, labels): ([Double], [Double], [Int64]) = ([], [], [])
      for row in 0..<batch {
        let image = digits.validation[(row + time) % digits.validation.count]
        labels.append(Int64(digits.labels[image]))
        for pixel in digits.image(image) {
          noise.append(random.normal())
          let kept = NoiseSchedule.kept[time]
          latents.append(kept.squareRoot() * Double(pixel) + (1 - kept).squareRoot() * noise[noise.count - 1])
        }
      }
      let inputs = [
        "latents": try HostTensor(images, doubles: latents), "target": try HostTensor(images, doubles: noise),
        "labels": try HostTensor(.i64(batch), integers: labels),
        "timesteps": try HostTensor(.i64(batch), integers: [Int64](repeating: Int64(time), count: batch)),
      ]
      best += try batched.run(on: inputs)[loss]?.doubles[0] ?? .nan
      threshold += try alone.run(on: inputs)[loss]?.doubles[0] ?? .nan
    }
    return (best, threshold)
  }

  /// What a classifier says of images that the model makes.
  private func judge(
    _ trainer: Trainer, _ tensors: [String: HostTensor], _ digits: ImageData, _ measurement: inout Experiment.Measurement
  ) throws(Diagnostic) {
    let judge = try ImageJudge(digits, for: trainer.target, options: trainer.options)
    let program = try Program(Configuration(configuration(steps: 1, mode: "infer")))
    let grid = try ImageGrid(
      program, tensors, DiffusionSampling(.ddim, steps: 50, guidance: 1.5), perClass: 20, seed: 1, for: trainer.target,
      options: trainer.options)
    let quality = try judge.judge(grid.images, labels: grid.labels)
    measurement.numbers[Self.accuracy] = quality.accuracy
    measurement.numbers[Self.frechet] = quality.frechetDistance
  }
}
