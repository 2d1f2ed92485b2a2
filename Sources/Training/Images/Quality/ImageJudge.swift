import Compiler
import DSL
import IR
import Models
import Runtime

/// How good a model's images are.
public struct ImageQuality: Hashable, Sendable {
  /// The share of the images that the classifier takes for what they are to show.
  public var accuracy: Double
  /// The squared Fréchet distance between the classifier's features of the images and of the real ones.
  public var frechetDistance: Double
  /// How many images the classifier takes for each class.
  public var counts: [Int]
}

/// A classifier, trained on real images, that judges those of a model.
///
/// Distances tell models apart that were judged by one judge with equally many images; between judges they mean nothing.
public struct ImageJudge {
  /// The share of held-out real images that the classifier knows.
  public let heldOutAccuracy: Double
  private let classifier: Classifier
  private let real: FeatureStatistics

  /// Trains the classifier; a few seconds for small images.
  public init(
    _ data: ImageData, seed: UInt64 = 1, steps: Int = 600, batch: Int = 64, for target: CompileTarget,
    options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    let task = ImageTask(side: data.side, channels: data.channels, classes: data.classes.count)
    let program = try Program.imageClassifier(of: task)
    let rate = LearningRate(2e-3, warmup: min(50, steps / 4), schedule: .cosine(total: max(1, steps), final: 0.05))
    let trainer = try Trainer(
      TrainingConfiguration(program, optimizer: AdamW(rate: rate, decay: 0.05, clip: 1)),
      on: ClassifierBatches(data: data, batch: batch, seed: seed), for: target, options: options)
    while trainer.step < steps { _ = try trainer.advance() }

    classifier = try Classifier(program, try trainer.tensors(), task, batch: batch, target, options)
    let known = try classifier.classify(data.validation.flatMap { data.image($0).map { Double($0) } })
    let right = zip(known.classes, data.validation).filter { $0 == data.labels[$1] }.count
    heldOutAccuracy = Double(right) / Double(max(1, data.validation.count))
    let everything = try classifier.classify(data.pixels.map { Double($0) })
    real = try FeatureStatistics(everything.features, width: classifier.width)
  }

  /// Judges images `[count, channels, side, side]` that are to show the labels; two of them at least.
  public func judge(_ images: HostTensor, labels: [Int]) throws(Diagnostic) -> ImageQuality {
    guard images.type.rank == 4, images.type.shape[0] == labels.count else {
      throw Diagnostic("wants an image for each of \(labels.count) labels, got \(images.type)")
    }
    let found = try classifier.classify(images.doubles)
    var counts = [Int](repeating: 0, count: classifier.classes)
    for number in found.classes { counts[number] += 1 }
    let right = zip(found.classes, labels).filter { $0 == $1 }.count
    let statistics = try FeatureStatistics(found.features, width: classifier.width)
    return ImageQuality(
      accuracy: Double(right) / Double(max(1, labels.count)), frechetDistance: statistics.frechetDistance(to: real),
      counts: counts)
  }
}

/// A trained classifier, compiled for batches of one size.
private struct Classifier {
  let classes: Int
  /// Features of an image.
  let width: Int
  private let executable: any Executable
  private let images: TensorType
  private let input, features, logits: Int

  init(
    _ program: Program, _ tensors: [String: HostTensor], _ task: ImageTask, batch: Int, _ target: CompileTarget,
    _ options: CompileOptions
  ) throws(Diagnostic) {
    images = .f32(batch, task.channels, task.side, task.side)
    var forward = try program.trace(inputs: ["images": images])
    forward.name = "classify"
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    guard let input = executable.parameterNumber(ValueNames.input("images")),
      let features = executable.resultNumber("features"), let logits = executable.resultNumber("logits")
    else { preconditionFailure("a classifier takes images and gives features and logits") }
    (self.input, self.features, self.logits) = (input, features, logits)
    classes = task.classes
    width = forward.type(of: forward.results[features]).shape[1]
    try executable.write(tensors, as: ValueNames.parameter)
  }

  /// The features of images, and the class of each.
  func classify(_ pixels: [Double]) throws(Diagnostic) -> (features: [Double], classes: [Int]) {
    let batch = images.shape[0]
    let size = images.count / batch
    guard pixels.count % size == 0 else {
      throw Diagnostic("the judge's images are \(images), got \(pixels.count) numbers")
    }
    var (vectors, chosen): ([Double], [Int]) = ([], [])
    for start in stride(from: 0, to: pixels.count / size, by: batch) {
      let count = min(batch, pixels.count / size - start)
      let part = pixels[start * size..<(start + count) * size] + [Double](repeating: 0, count: (batch - count) * size)
      try executable.write(try HostTensor(images, doubles: Array(part)), to: input)
      try executable.run()
      vectors += try executable.result(features).doubles.prefix(count * width)
      let scores = try executable.result(logits).doubles
      for row in 0..<count {
        let own = Array(scores[row * classes..<(row + 1) * classes])
        chosen.append(own.indices.max { own[$0] < own[$1] } ?? 0)
      }
    }
    return (vectors, chosen)
  }
}

/// Real images with a little noise, so that the classifier does not mind it.
private struct ClassifierBatches: BatchSource {
  let data: ImageData
  let batch: Int
  let seed: UInt64
  /// The deviation of the noise.
  private static let noise = 0.15

  private var imageType: TensorType { .f32(batch, data.channels, data.side, data.side) }
  var types: [String: TensorType] { ["images": imageType, "labels": .i64(batch)] }
  var unit: String { "images" }
  var unitsPerBatch: Int { batch }
  var settings: BatchSettings { BatchSettings(batch: batch, seed: seed) }
  var identity: DataIdentity { data.identity }
  func check(_ program: Program) throws(Diagnostic) {}
  var validationBatches: Int { 0 }
  func validationBatch(_ number: Int) throws(Diagnostic) -> [String: HostTensor] { [:] }

  func batch(step: Int) throws(Diagnostic) -> [String: HostTensor] {
    var (pixels, labels): ([Double], [Int64]) = ([], [])
    for row in 0..<batch {
      let (image, start) = data.draw(step * batch + row, seed: seed)
      var random = start
      labels.append(Int64(data.labels[image]))
      for pixel in data.image(image) { pixels.append(Double(pixel) + Self.noise * random.normal()) }
    }
    return ["images": try HostTensor(imageType, doubles: pixels), "labels": try HostTensor(.i64(batch), integers: labels)]
  }
}
