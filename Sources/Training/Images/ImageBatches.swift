import DSL
import IR
import Models
import Runtime

/// Noisy images, as a diffusion transformer is trained on them.
///
/// Each image of each step has random numbers of its own, which follow from the seed and its number in the run.
public struct ImageBatches: BatchSource {
  public let data: ImageData
  public let objective: Objective
  /// The model's label for none.
  private let none: Int
  public let batch: Int
  public let seed: UInt64
  /// The share of images that are shown without their label.
  public let labelDropout: Double

  public init(
    _ data: ImageData, for task: ImageTask, batch: Int, seed: UInt64, labelDropout: Double = 0.1
  ) {
    self.data = data
    objective = task.objective
    none = task.classes
    self.batch = batch
    self.seed = seed
    self.labelDropout = labelDropout
  }

  public var types: [String: TensorType] {
    let images = TensorType.f32(batch, data.channels, data.side, data.side)
    return ["latents": images, "target": images, "labels": .i64(batch), "timesteps": timeType]
  }
  private var timeType: TensorType { objective.isFlow ? .f32(batch) : .i64(batch) }
  public var unit: String { "images" }
  public var unitsPerBatch: Int { batch }
  public var settings: BatchSettings { BatchSettings(batch: batch, seed: seed, labelDropout: labelDropout) }
  public var identity: DataIdentity { data.identity }

  public func check(_ program: Program) throws(Diagnostic) {
    guard let task = program.imageTask else { throw Diagnostic("only a diffusion transformer can be trained on images") }
    guard task.side == data.side, task.channels == data.channels, task.objective == objective, task.classes == none else {
      let made = "\(task.side) × \(task.side) with \(task.channels)"
      throw Diagnostic(
        "the images are \(data.side) × \(data.side) with \(data.channels) channels, the model makes \(made)")
    }
  }

  public func batch(step: Int) throws(Diagnostic) -> [String: HostTensor] {
    try inputs { row in
      let (image, random) = data.draw(step * batch + row, seed: seed)
      return Draw(image: image, random: random, dropout: labelDropout)
    }
  }

  public var validationBatches: Int { (data.validation.count + batch - 1) / batch }

  /// Images, times and noise that are the same for every seed; the last batch begins again where the images end.
  public func validationBatch(_ number: Int) throws(Diagnostic) -> [String: HostTensor] {
    try inputs { row in
      let place = number * batch + row
      let random = SplitMix64(seed: SplitMix64.mixed(UInt64(place)) ^ 0x7a11_da7e)
      return Draw(image: data.validation[place % data.validation.count], random: random, dropout: 0)
    }
  }

  /// What becomes one row of a batch.
  private struct Draw {
    var image: Int
    var random: SplitMix64
    var dropout: Double
  }

  private func inputs(_ draw: (Int) -> Draw) throws(Diagnostic) -> [String: HostTensor] {
    var (latents, target): ([Double], [Double]) = ([], [])
    var (labels, times): ([Int64], [Double]) = ([], [])
    for row in 0..<batch {
      var draw = draw(row)
      let isDropped = draw.random.unit() < draw.dropout
      labels.append(Int64(isDropped ? none : data.labels[draw.image]))
      let position = draw.random.unit()
      let time = objective.isFlow ? Double(Float(position)) : (position * Double(NoiseSchedule.count)).rounded(.down)
      times.append(time)
      for pixel in data.image(draw.image) {
        let (x0, noise) = (Double(pixel), draw.random.normal())
        if objective.isFlow {
          latents.append((1 - time) * x0 + time * noise)
          target.append(noise - x0)
        } else {
          let kept = NoiseSchedule.kept[Int(time)]
          latents.append(kept.squareRoot() * x0 + (1 - kept).squareRoot() * noise)
          target.append(noise)
        }
      }
    }
    let images = TensorType.f32(batch, data.channels, data.side, data.side)
    return [
      "latents": try HostTensor(images, doubles: latents), "target": try HostTensor(images, doubles: target),
      "labels": try HostTensor(.i64(batch), integers: labels),
      "timesteps": objective.isFlow
        ? try HostTensor(timeType, doubles: times) : try HostTensor(timeType, integers: times.map { Int64($0) }),
    ]
  }
}
