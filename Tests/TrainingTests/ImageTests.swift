import Compiler
import DSL
import Foundation
import IR
import Models
import Runtime
import Testing

@testable import Training

@Suite("PNG") struct PNGTests {
  /// A picture of every channel count, with rows and columns that differ.
  private static func picture(_ channels: Int) -> Raster {
    Raster(
      width: 7, height: 5, channels: channels,
      bytes: (0..<35 * channels).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ $0 / 7) })
  }

  @Test("what is written is read", arguments: 1...4)
  func roundTrip(channels: Int) throws {
    let scratch = try Scratch()
    let path = scratch.path("a.png")
    try PNG.write(Self.picture(channels), to: path)
    #expect(try PNG.read(path) == Self.picture(channels))
  }

  @Test("files of another writer are read: filters, palettes and few bits", arguments: PNGSamples.all)
  func others(sample: PNGSamples) throws {
    #expect(try PNG.decode(sample.bytes, file: "a.png") == sample.image)
  }

  @Test("a file cut anywhere, or with any byte changed, is an error or the image, and no trap")
  func hostile() throws {
    let whole = try PNG.encode(Self.picture(3))
    for count in 0..<whole.count {
      let message = complaint { _ = try PNG.decode(Array(whole.prefix(count)), file: "a.png") }
      #expect(message == (count < 8 ? "a.png: is no PNG file" : "a.png: is cut short"))
    }
    for place in whole.indices {
      var damaged = whole
      damaged[place] ^= 0x41
      _ = try? PNG.decode(damaged, file: "a.png")
    }
  }

  @Test("what is not supported is named")
  func unsupported() throws {
    func complaint(_ header: [UInt8]) -> String {
      TrainingTests.complaint { _ = try PNG.decode(PNGSamples.file(header, lines: [0]), file: "a.png") }
    }
    #expect(complaint(PNGSamples.header(1, 1, depth: 16, colour: 2)) == "a.png: wants 8 bits a channel, got 16")
    #expect(complaint(PNGSamples.header(1, 1, depth: 8, colour: 5)) == "a.png: has the unknown colour type 5")
    #expect(complaint(PNGSamples.header(1, 1, depth: 8, colour: 0, interlaced: 1)) == "a.png: is interlaced, which is not supported")
    #expect(complaint(PNGSamples.header(0, 1, depth: 8, colour: 0)).contains("1 to 16384 pixels, got 0 × 1"))
    #expect(complaint(PNGSamples.header(70000, 1, depth: 8, colour: 0)).contains("got 70000 × 1"))
    #expect(complaint(PNGSamples.header(1, 1, depth: 8, colour: 0)) == "a.png: wants 2 bytes of pixels, got 1")
    #expect(complaint(PNGSamples.header(1, 1, depth: 8, colour: 3)).contains("wants 2 bytes of pixels"))
  }

  @Test("colours become greys and greys colours")
  func conversions() {
    let grey = Raster(width: 1, height: 1, channels: 1, bytes: [77])
    #expect(grey.converted(to: 3).bytes == [77, 77, 77] && grey.converted(to: 4).bytes == [77, 77, 77, 255])
    let veiled = Raster(width: 1, height: 1, channels: 2, bytes: [77, 9])
    #expect(veiled.converted(to: 4).bytes == [77, 77, 77, 9] && veiled.converted(to: 1).bytes == [77])
    let colour = Raster(width: 1, height: 1, channels: 3, bytes: [255, 0, 0])
    #expect(colour.converted(to: 1).bytes == [76])
    let planes = Raster(width: 2, height: 2, channels: 3, bytes: (0..<12).map { UInt8($0 * 20) }).planes
    #expect(planes.map { ($0 + 1) * 127.5 }.map { Int($0.rounded()) } == [0, 60, 120, 180, 20, 80, 140, 200, 40, 100, 160, 220])
    #expect(Raster(planes: planes[...], side: 2, channels: 3).bytes == (0..<12).map { UInt8($0 * 20) })
    #expect(Raster(planes: [-9, 9, .nan, 0], side: 2, channels: 1).bytes == [0, 255, 128, 128])
  }
}

/// Files as other writers make them.
struct PNGSamples: Sendable, CustomTestStringConvertible {
  let name: String
  let bytes: [UInt8]
  let image: Raster
  var testDescription: String { name }

  static let all: [PNGSamples] = [
    // Each line with another filter: sub, up, average, Paeth.
    PNGSamples(
      name: "filters",
      bytes: file(header(3, 4, depth: 8, colour: 0), lines: [1, 10, 5, 5, 2, 1, 1, 1, 3, 10, 0, 0, 4, 1, 2, 3]),
      image: Raster(width: 3, height: 4, channels: 1, bytes: [10, 15, 20, 11, 16, 21, 15, 15, 18, 16, 18, 21])),
    PNGSamples(
      name: "palette of 2 bits",
      bytes: file(header(3, 1, depth: 2, colour: 3), palette: [1, 2, 3, 4, 5, 6, 7, 8, 9], lines: [0, 0b10_01_00_00]),
      image: Raster(width: 3, height: 1, channels: 3, bytes: [7, 8, 9, 4, 5, 6, 1, 2, 3])),
    PNGSamples(
      name: "1 bit", bytes: file(header(9, 2, depth: 1, colour: 0), lines: [0, 0b1010_0001, 0b1000_0000, 2, 0, 0]),
      image: Raster(
        width: 9, height: 2, channels: 1,
        bytes: [255, 0, 255, 0, 0, 0, 0, 255, 255, 255, 0, 255, 0, 0, 0, 0, 255, 255])),
    PNGSamples(
      name: "4 bits", bytes: file(header(2, 1, depth: 4, colour: 0), lines: [0, 0x3f]),
      image: Raster(width: 2, height: 1, channels: 1, bytes: [51, 255])),
  ]

  static func header(_ width: Int, _ height: Int, depth: UInt8, colour: UInt8, interlaced: UInt8 = 0) -> [UInt8] {
    PNG.bigEndian(UInt32(width)) + PNG.bigEndian(UInt32(height)) + [depth, colour, 0, 0, interlaced]
  }

  static func file(_ header: [UInt8], palette: [UInt8] = [], lines: [UInt8]) -> [UInt8] {
    let packed = (try? deflate(lines)) ?? []
    let (first, second) = (Array(packed.prefix(5)), Array(packed.dropFirst(5)))
    return PNG.signature + PNG.chunk("IHDR", header) + PNG.chunk("tEXt", [65, 0, 66])
      + (palette.isEmpty ? [] : PNG.chunk("PLTE", palette))
      + PNG.chunk("IDAT", first) + PNG.chunk("IDAT", second) + PNG.chunk("IEND", [])
  }
}

@Suite("images") struct ImageTests {
  static let config: JSON = [
    "architecture": "diffusion-transformer", "image": 4, "channels": 1, "patch": 2, "width": 8, "layers": 1, "heads": 2,
    "classes": 2, "frequency_width": 8, "feed_forward": ["hidden": 8],
    "optimizer": ["learning_rate": 0.02],
  ]

  /// Twenty images of two classes: bright above, or bright below.
  static func data() throws -> ImageData {
    let images = (0..<20).map { number in
      let label = number % 2
      return (label: label, pixels: (0..<16).map { Float(($0 < 8) == (label == 0) ? 1 : -1) * (0.5 + Float(number) / 40) })
    }
    return try ImageData("stripes", side: 4, channels: 1, classes: ["above", "below"], images: images)
  }

  static func configuration(_ changes: [String: JSON] = [:]) throws -> TrainingConfiguration {
    var object = try config.object()
    for (key, value) in changes { object.set(key, value) }
    return try TrainingConfiguration(.object(object), steps: 10)
  }

  static func batches(_ configuration: TrainingConfiguration) throws -> ImageBatches {
    let task = try #require(configuration.program.imageTask)
    return ImageBatches(try data(), for: task, batch: 4, seed: 3, labelDropout: 0.25)
  }

  @Test("batches follow from seed and step, and are what the equations make of the images")
  func batch() throws {
    let batches = try Self.batches(Self.configuration())
    let (first, again, next) = (try batches.batch(step: 5), try batches.batch(step: 5), try batches.batch(step: 6))
    #expect(first == again && first != next)
    let data = try Self.data()
    let (latents, noise) = (try #require(first["latents"]).doubles, try #require(first["target"]).doubles)
    let times = try #require(first["timesteps"]).integers
    for row in 0..<4 {
      let kept = NoiseSchedule.kept[Int(times[row])]
      let clean = (0..<16).map { (latents[row * 16 + $0] - (1 - kept).squareRoot() * noise[row * 16 + $0]) / kept.squareRoot() }
      let nearest = data.training.contains { number in
        zip(data.image(number), clean).allSatisfy { abs(Double($0) - $1) < 1e-3 / kept.squareRoot() }
      }
      #expect(nearest)
    }
    var dropped = 0
    var seen: Set<Int64> = []
    for step in 0..<100 {
      let batch = try batches.batch(step: step)
      dropped += try #require(batch["labels"]).integers.filter { $0 == 2 }.count
      seen.formUnion(try #require(batch["timesteps"]).integers)
    }
    #expect((70...130).contains(dropped) && seen.min()! < 30 && seen.max()! > 970 && seen.max()! < 1000)
    #expect(data.validation.count == 2 && Set(data.training).isDisjoint(with: data.validation))
    #expect(try batches.validationBatch(0) == batches.validationBatch(0))
  }

  @Test("a flow's batches lie between noise and image")
  func flow() throws {
    let batches = try Self.batches(Self.configuration(["objective": ["kind": "flow"]]))
    let batch = try batches.batch(step: 0)
    #expect(batch["timesteps"]?.type == .f32(4))
    let (latents, velocity) = (try #require(batch["latents"]).doubles, try #require(batch["target"]).doubles)
    let time = try #require(batch["timesteps"]).doubles[0]
    let clean = (0..<16).map { latents[$0] - time * velocity[$0] }
    #expect(try Self.data().training.contains { number in
      zip(try Self.data().image(number), clean).allSatisfy { abs(Double($0) - $1) < 1e-5 }
    })
  }

  @Test("training learns, goes on to the last bit, and keeps an average of the weights")
  func trains() throws {
    let scratch = try Scratch()
    let configuration = try Self.configuration()
    let target = TinyModel.fastest
    let whole = try Trainer(configuration, on: Self.batches(configuration), averageDecay: 0.9, for: target)
    var losses: [Double] = []
    for _ in 0..<40 { losses.append(try whole.advance()) }
    #expect(losses.suffix(10).reduce(0, +) < losses.prefix(10).reduce(0, +))
    #expect(try whole.validationLoss(batches: 1).isFinite)

    let first = try Trainer(configuration, on: Self.batches(configuration), averageDecay: 0.9, for: target)
    for _ in 0..<20 { _ = try first.advance() }
    let path = try Checkpoints(in: scratch.path("run")).write(try first.checkpoint(seconds: 1), keeping: 1)
    let second = try Trainer(configuration, on: Self.batches(configuration), continuing: Checkpoint(path), for: target)
    for _ in 0..<20 { _ = try second.advance() }
    let (a, b) = (try whole.checkpoint(seconds: 0), try second.checkpoint(seconds: 0))
    #expect(a.tensors == b.tensors && a.moments == b.moments && a.state == b.state)
    #expect(a.tensors["patch.weight"] != a.moments["param/patch.weight"], "the model is the average, not the weights")
    #expect(try ModelDirectory(path).tensors == first.tensors())
  }

  @Test("a threshold that is saved belongs to the averaged weights, and the run goes on with its own")
  func renewal() throws {
    let scratch = try Scratch()
    let configuration = try Self.configuration(
      ["feed_forward": ["kind": "moe", "experts": 4, "top": 2, "hidden": 8, "momentum": 0.9]])
    func trainer() throws -> Trainer {
      try Trainer(configuration, on: Self.batches(configuration), averageDecay: 0.9, for: TinyModel.fastest)
    }
    let (whole, first) = (try trainer(), try trainer())
    for _ in 0..<6 { _ = try whole.advance() }
    for _ in 0..<3 { _ = try first.advance() }
    let path = try Checkpoints(in: scratch.path("run")).write(try first.checkpoint(seconds: 1), keeping: 1)
    let kept = try Checkpoint(path)
    let name = "blocks.0.feed_forward.threshold"
    let (saved, own) = (try #require(kept.tensors[name]), try #require(kept.moments["param/\(name)"]))
    #expect(saved != own && saved.doubles[0].isFinite)
    #expect(try first.tensors()[name] == saved, "asking twice changes nothing")
    let second = try Trainer(configuration, on: Self.batches(configuration), continuing: kept, for: TinyModel.fastest)
    for _ in 0..<3 { _ = try second.advance() }
    let (a, b) = (try whole.checkpoint(seconds: 0), try second.checkpoint(seconds: 0))
    #expect(a.tensors == b.tensors && a.moments == b.moments)
  }

  @Test("a configuration that says how to sample is trained all the same")
  func sampledLater() throws {
    let sampling: JSON = ["kind": "ddim", "steps": 4]
    let configuration = try Self.configuration(["sampling": sampling])
    #expect(configuration.program.configuration.mode == .train)
    #expect(configuration.program.configuration.sampling == DiffusionSampling(.ddim, steps: 4))
    let other = try Self.configuration()
    _ = try TrainingConfiguration(configuration.json, steps: 1, continuing: other.json)
  }

  @Test("the log has the parts of a loss that has several")
  func parts() throws {
    let scratch = try Scratch()
    let configuration = try Self.configuration(
      ["learn_variance": true, "objective": ["kind": "noise-and-variance", "variance_weight": 0.5]])
    let trainer = try Trainer(configuration, on: Self.batches(configuration), for: TinyModel.fastest)
    var run = try TrainingRun(
      trainer, TrainingRun.Plan(steps: 2), in: scratch.path("run"), terminal: TinyModel.silent) { false }
    #expect(try run.run() == .finished)
    for line in try JSONLLog.read(scratch.path("run/log.jsonl")) {
      let (whole, main) = (try line.required("loss").double(), try line.required("loss_diffusion").double())
      #expect(abs(main + 0.5 * (try line.required("loss_variance").double()) - whole) < 1e-5 * whole)
      #expect(try line.required("images_per_second").double() > 0)
    }
  }

  @Test("an average begins as a copy and follows the weights")
  func average() throws {
    let configuration = try Self.configuration()
    let trainer = try Trainer(configuration, on: Self.batches(configuration), averageDecay: 0.5, for: .interpreter)
    let start = try trainer.checkpoint(seconds: 0)
    #expect(start.tensors["patch.bias"] == start.moments["param/patch.bias"])
    var average = try #require(start.tensors["final.output.bias"]).doubles
    for step in 1...3 {
      _ = try trainer.advance()
      let now = try trainer.checkpoint(seconds: 0)
      let weights = try #require(now.moments["param/final.output.bias"]).doubles
      let rate = min(0.5, Double(step + 1) / Double(step + 10))
      average = zip(average, weights).map { $0 * rate + $1 * (1 - rate) }
      let found = try #require(now.tensors["final.output.bias"]).doubles
      #expect(zip(found, average).allSatisfy { abs($0 - $1) < 1e-6 })
    }
  }

  @Test("a folder of PNG files has a class for each folder")
  func folder() throws {
    let scratch = try Scratch()
    let task = ImageTask(side: 4, channels: 1, classes: 2)
    func make(_ name: String, side: Int = 4) throws {
      let path = scratch.path(name)
      let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try PNG.write(Raster(width: side, height: side, channels: 3, grey: 51), to: path)
    }
    #expect(complaint { _ = try ImageData(scratch.folder, for: task) } == "\(scratch.folder): wants a folder of PNG files for each class")
    try make("set/cat/1.png")
    try make("set/cat/2.PNG")
    #expect(complaint { _ = try ImageData(scratch.path("set"), for: task) }.hasSuffix("has 1 classes, the model has 2"))
    try make("set/dog/a.png")
    let data = try ImageData(scratch.path("set"), for: task)
    #expect(data.classes == ["cat", "dog"] && data.labels == [0, 0, 1])
    #expect(data.image(2).allSatisfy { abs($0 + 0.6) < 1e-6 })
    try make("set/dog/b.png", side: 5)
    #expect(complaint { _ = try ImageData(scratch.path("set"), for: task) }.hasSuffix("dog/b.png: wants 4 × 4 pixels, got 5 × 5"))
    let whole = try readFile(scratch.path("set/dog/a.png"), limit: 1 << 20)
    _ = try scratch.file("set/dog/b.png", Array(whole.dropLast(20)))
    #expect(complaint { _ = try ImageData(scratch.path("set"), for: task) }.hasSuffix("dog/b.png: is cut short"))
    try FileManager.default.removeItem(atPath: scratch.path("set/dog/a.png"))
    try FileManager.default.removeItem(atPath: scratch.path("set/dog/b.png"))
    #expect(complaint { _ = try ImageData(scratch.path("set"), for: task) }.hasSuffix("the class 'dog' has no images"))
    #expect(complaint { _ = try ImageData("/no/such", for: task) } == "/no/such: is no folder that can be read")
    let odd = ImageTask(side: 4, channels: 2, classes: 2)
    #expect(complaint { _ = try ImageData(scratch.path("set"), for: odd) }.contains("1, 3 or 4 channels"))
  }

  @Test("the digits are read, or it is said what brings them")
  func digits() throws {
    do {
      let data = try ImageData("digits", for: ImageTask(side: 8, channels: 1, classes: 10))
      #expect(data.count == 1797 && data.validation.count == 179)
      #expect(data.pixels.min() == -1 && data.pixels.max() == 1)
    } catch {
      #expect(error.message.hasSuffix("scripts/setup brings it"))
    }
    let large = ImageTask(side: 16, channels: 1, classes: 10)
    #expect(complaint { _ = try ImageData("digits", for: large) } == "digits: are 8 × 8 with 1 channel, the model makes 16 × 16 with 1")
    let bad = Array("1,2,3\n".utf8)
    #expect(complaint { _ = try ImageData(csv: bad, file: "d.csv") } == "d.csv:1: wants 64 greys from 0 to 16 and a digit")
  }

  @Test("a grid shows a row for each class, and the same for the same seed")
  func grid() throws {
    let program = try Self.configuration().program
    let tensors = try program.initialTensors(seed: 1)
    func grid(_ seed: UInt64, perClass: Int = 3) throws -> ImageGrid {
      try ImageGrid(
        program, tensors, DiffusionSampling(.ddim, steps: 3, guidance: 2), perClass: perClass, seed: seed,
        for: TinyModel.fastest)
    }
    let first = try grid(1)
    #expect(first.labels == [0, 0, 0, 1, 1, 1] && first.images.type == .f32(6, 1, 4, 4))
    #expect(try first.images == grid(1).images)
    // More than one batch of images, the first of which are the same.
    let many = try grid(1, perClass: 40)
    #expect(many.images.type == .f32(80, 1, 4, 4))
    #expect(zip(many.images.doubles.prefix(48), first.images.doubles).allSatisfy { abs($0 - $1) < 1e-4 })
    #expect(try first.images != grid(2).images)
    let picture = first.picture()
    #expect(picture.width == 3 * 33 + 1 && picture.height == 2 * 33 + 1 && picture.channels == 1)
  }
}
