import CZlib
import Foundation
import IR
import Models
import Runtime

/// Square images with a class each, in −1 … 1.
public struct ImageData: Sendable {
  public let side, channels: Int
  /// The names of the classes, in the order of their labels.
  public let classes: [String]
  public let labels: [Int]
  /// Image by image, channel by channel, row by row.
  public let pixels: [Float]
  public let identity: DataIdentity
  /// The numbers of the images that are trained on, and of the others.
  public let training, validation: [Int]

  /// The share of the images that is not trained on.
  public static let validationShare = 0.1
  /// Most pixels, of all channels of all images.
  private static let largest = 1 << 30

  /// - Parameter images: the class and the pixels of each.
  public init(
    _ source: String, side: Int, channels: Int, classes: [String], images: [(label: Int, pixels: [Float])]
  ) throws(Diagnostic) {
    let size = channels * side * side
    precondition(
      images.allSatisfy { $0.pixels.count == size && classes.indices.contains($0.label) }, "images are of one size")
    guard !images.isEmpty else { throw Diagnostic("\(source): has no images") }
    for (label, name) in classes.enumerated() where !images.contains(where: { $0.label == label }) {
      throw Diagnostic("\(source): the class '\(name)' has no images")
    }
    self.side = side
    self.channels = channels
    self.classes = classes
    labels = images.map(\.label)
    pixels = images.flatMap(\.pixels)
    identity = DataIdentity(
      source: source, bytes: pixels.count * 4, crc32: ImageData.checksum(pixels, labels))
    // Which images are held out depends on their number alone.
    let shuffle = Shuffle(images.count, key: 0x6d69_6c6c)
    let order = images.indices.map { shuffle[$0] }
    let held = Int((Double(images.count) * Self.validationShare).rounded(.down))
    (validation, training) = (order.prefix(held).sorted(), order.dropFirst(held).sorted())
  }

  public var count: Int { labels.count }

  /// The pixels of one image.
  public func image(_ number: Int) -> ArraySlice<Float> {
    let size = channels * side * side
    return pixels[number * size..<(number + 1) * size]
  }

  /// The image that is trained on as number so-and-so, and random numbers of its own; each pass takes every image once.
  func draw(_ number: Int, seed: UInt64) -> (image: Int, random: SplitMix64) {
    let (pass, index) = number.quotientAndRemainder(dividingBy: training.count)
    let key = SplitMix64.mixed(seed &+ UInt64(pass) &* 0x9e37_79b9_7f4a_7c15)
    let random = SplitMix64(seed: SplitMix64.mixed(seed ^ 0xd1f7_5e0d) &+ SplitMix64.mixed(UInt64(number)))
    return (training[Shuffle(training.count, key: key)[index]], random)
  }

  private static func checksum(_ pixels: [Float], _ labels: [Int]) -> UInt {
    let start = pixels.withUnsafeBytes { crc32_z(0, $0.baseAddress, z_size_t($0.count)) }
    return UInt(labels.withUnsafeBytes { crc32_z(start, $0.baseAddress, z_size_t($0.count)) })
  }
}

// MARK: Where images come from

extension ImageData {
  /// The images that a model is to learn: `digits`, or a folder with a folder of PNG files for each class.
  public init(_ source: String, for task: ImageTask) throws(Diagnostic) {
    if source == Digits.name { try self.init(digitsFor: task) } else { try self.init(folder: source, for: task) }
    guard classes.count == task.classes else {
      throw Diagnostic("\(source): has \(classes.count) classes, the model has \(task.classes)")
    }
  }

  /// Handwritten digits, 1797 of 8 × 8 greys (Alpaydin and Kaynak, UCI 1998), as scikit-learn carries them.
  public enum Digits {
    public static let name = "digits"
    static let file = "digits.csv.gz"
    static let side = 8
    /// The brightest grey.
    static let white = 16

    /// Where they may be: with the user's data, or with the system's scikit-learn.
    static var places: [String] {
      let environment = ProcessInfo.processInfo.environment
      let home = FileManager.default.homeDirectoryForCurrentUser.path
      let data = environment["XDG_DATA_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? home + "/.local/share"
      return ["\(data)/millrace", "/usr/lib/python3/dist-packages/sklearn/datasets/data"].map { "\($0)/\(file)" }
    }

    static func path() throws(Diagnostic) -> String {
      if let path = places.first(where: canRead) { return path }
      throw Diagnostic("\(name): there is no \(places[0]); scripts/setup brings it")
    }
  }

  private init(digitsFor task: ImageTask) throws(Diagnostic) {
    guard task.side == Digits.side, task.channels == 1 else {
      let made = "\(task.side) × \(task.side) with \(task.channels)"
      throw Diagnostic("digits: are \(Digits.side) × \(Digits.side) with 1 channel, the model makes \(made)")
    }
    let path = try Digits.path()
    let text = try gunzip(try readFile(path, limit: 1 << 24), limit: 1 << 26, file: path)
    try self.init(csv: text, file: path)
  }

  /// Lines of 64 greys of 0 … 16 and a digit.
  init(csv text: [UInt8], file: String) throws(Diagnostic) {
    let size = Digits.side * Digits.side
    var images: [(label: Int, pixels: [Float])] = []
    for (line, row) in text.split(separator: UInt8(ascii: "\n")).enumerated() {
      let numbers = row.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map { field in
        Int(String(decoding: field, as: UTF8.self).trimmingCharacters(in: .whitespaces)) ?? -1
      }
      guard numbers.count == size + 1, numbers.dropLast().allSatisfy({ (0...Digits.white).contains($0) }),
        let label = numbers.last, (0...9).contains(label)
      else { throw Diagnostic("\(file):\(line + 1): wants \(size) greys from 0 to \(Digits.white) and a digit") }
      images.append((label, numbers.dropLast().map { Float($0) * 2 / Float(Digits.white) - 1 }))
    }
    try self.init(Digits.name, side: Digits.side, channels: 1, classes: (0...9).map { "\($0)" }, images: images)
  }

  /// A folder with a folder for each class, whose name is the class's.
  private init(folder: String, for task: ImageTask) throws(Diagnostic) {
    guard [1, 3, 4].contains(task.channels) else {
      throw Diagnostic("\(folder): PNG files have 1, 3 or 4 channels, the model's images have \(task.channels)")
    }
    let classes = try names(in: folder).filter { isFolder("\(folder)/\($0)") }
    guard !classes.isEmpty else { throw Diagnostic("\(folder): wants a folder of PNG files for each class") }
    var images: [(label: Int, pixels: [Float])] = []
    let size = task.channels * task.side * task.side
    for (label, name) in classes.enumerated() {
      for file in try names(in: "\(folder)/\(name)") where file.lowercased().hasSuffix(".png") {
        let path = "\(folder)/\(name)/\(file)"
        let raster = try PNG.read(path)
        guard raster.width == task.side, raster.height == task.side else {
          throw Diagnostic("\(path): wants \(task.side) × \(task.side) pixels, got \(raster.width) × \(raster.height)")
        }
        images.append((label, raster.converted(to: task.channels).planes))
        guard images.count <= Self.largest / size else { throw Diagnostic("\(folder): has too many images") }
      }
    }
    try self.init(folder, side: task.side, channels: task.channels, classes: classes, images: images)
  }
}

/// What is in a folder, in order, without what is hidden.
private func names(in folder: String) throws(Diagnostic) -> [String] {
  guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
    throw Diagnostic("\(folder): is no folder that can be read")
  }
  return names.filter { !$0.hasPrefix(".") }.sorted()
}

private func isFolder(_ path: String) -> Bool {
  var isFolder: ObjCBool = false
  return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
}

// MARK: Pixels as numbers

extension Raster {
  /// The pixels channel by channel, −1 for 0 and 1 for 255.
  var planes: [Float] {
    var planes: [Float] = []
    planes.reserveCapacity(bytes.count)
    for channel in 0..<channels {
      for pixel in 0..<width * height { planes.append(Float(bytes[pixel * channels + channel]) / 127.5 - 1) }
    }
    return planes
  }

  /// A square image of numbers in −1 … 1, channel by channel; what lies outside is cut off.
  init(planes: ArraySlice<Float>, side: Int, channels: Int) {
    var bytes = [UInt8](repeating: 0, count: planes.count)
    for (place, value) in planes.enumerated() {
      let (channel, pixel) = place.quotientAndRemainder(dividingBy: side * side)
      let level = (value.isNaN ? 0 : min(max(value, -1), 1)) * 127.5 + 127.5
      bytes[pixel * channels + channel] = UInt8(level.rounded())
    }
    self.init(width: side, height: side, channels: channels, bytes: bytes)
  }
}
