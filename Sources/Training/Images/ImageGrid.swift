import Compiler
import IR
import Models
import Runtime

/// Images of a model, so many of each class, and a picture that shows a class in each row.
public struct ImageGrid {
  /// `[classes · count, channels, side, side]`, class by class.
  public let images: HostTensor
  public let labels: [Int]
  private let perClass: Int

  /// Images that are made together: enough for the processor, and few enough for the memory.
  private static let batch = 64

  /// Samples `count` images of each class.
  ///
  /// Every image has random numbers of its own, which follow from the seed and its place.
  public init(
    _ program: Program, _ tensors: [String: HostTensor], _ sampling: DiffusionSampling, perClass count: Int, seed: UInt64,
    for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    guard let task = program.imageTask else { throw Diagnostic("only a diffusion transformer makes images") }
    let labels = (0..<task.classes).flatMap { [Int](repeating: $0, count: count) }
    let batch = min(Self.batch, max(1, labels.count))
    let sampler = try ImageSampler(program, tensors, sampling, batch: batch, for: target, options: options)
    let size = sampler.type.count / batch
    var made: [Double] = []
    for first in stride(from: 0, to: labels.count, by: batch) {
      func noise(_ step: Int) throws(Diagnostic) -> HostTensor {
        var values: [Double] = []
        values.reserveCapacity(sampler.type.count)
        for place in first..<first + batch {
          var random = SplitMix64(seed: SplitMix64.mixed(seed) ^ SplitMix64.mixed(UInt64(step) << 32 | UInt64(place)))
          for _ in 0..<size { values.append(random.normal()) }
        }
        return try HostTensor(sampler.type, doubles: values)
      }
      // The last batch is filled up with images that nobody asked for.
      let given = (first..<first + batch).map { Int64(labels[min($0, labels.count - 1)]) }
      let images = try sampler.sample(
        from: try noise(sampling.steps), labels: try HostTensor(.i64(batch), integers: given), noise: noise)
      made += images.doubles.prefix(size * (labels.count - first))
    }
    images = try HostTensor(.f32(labels.count, task.channels, task.side, task.side), doubles: made)
    self.labels = labels
    perClass = count
  }

  /// A row for each class; every pixel a square, and a line between images.
  public func picture() -> Raster {
    let (channels, side) = (images.type.shape[1], images.type.shape[2])
    let scale = max(1, 32 / side)
    let cell = side * scale + 1
    let shown = channels == 1 || channels == 4 ? channels : 3
    let rows = labels.count / max(1, perClass)
    var picture = Raster(width: perClass * cell + 1, height: rows * cell + 1, channels: shown, grey: 96)
    let values = images.doubles.map { Float($0) }
    let size = channels * side * side
    for place in labels.indices {
      let planes = values[place * size..<(place + 1) * size]
      let image = Raster(planes: planes, side: side, channels: channels).converted(to: shown)
      picture.draw(image, x: place % perClass * cell + 1, y: place / perClass * cell + 1, scale: scale)
    }
    return picture
  }
}
