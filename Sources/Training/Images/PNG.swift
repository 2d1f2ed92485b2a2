import CZlib
import IR
import Runtime

/// The PNG format (ISO/IEC 15948): images of 8 bits a channel, or with a palette, that are not interlaced.
public enum PNG {
  static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
  /// The largest width and height.
  public static let largest = 1 << 14
  /// The largest file that is read.
  static let fileLimit = 1 << 30

  /// What the samples of a pixel mean, under the format's numbers.
  enum Colour: UInt8 {
    case grey = 0
    case red = 2
    case palette = 3
    case greyOpacity = 4
    case redOpacity = 6

    var samples: Int {
      switch self {
      case .grey, .palette: 1
      case .greyOpacity: 2
      case .red: 3
      case .redOpacity: 4
      }
    }

    init(channels: Int) {
      switch channels {
      case 1: self = .grey
      case 2: self = .greyOpacity
      case 3: self = .red
      default: self = .redOpacity
      }
    }
  }

  /// Reads an image from a file.
  public static func read(_ path: String) throws(Diagnostic) -> Raster {
    try decode(try readFile(path, limit: fileLimit), file: path)
  }

  /// Writes an image to a file, whole or not at all.
  public static func write(_ image: Raster, to path: String) throws(Diagnostic) {
    var file = try AtomicFile(path)
    try file.write(try encode(image))
    try file.commit()
  }

  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    UInt32(bytes.withUnsafeBufferPointer { crc32_z(0, $0.baseAddress, z_size_t($0.count)) })
  }
}

// MARK: Writing

extension PNG {
  static func encode(_ image: Raster) throws(Diagnostic) -> [UInt8] {
    guard (1...largest).contains(image.width), (1...largest).contains(image.height) else {
      throw Diagnostic("an image wants sides of 1 to \(largest) pixels, got \(image.width) × \(image.height)")
    }
    let line = image.width * image.channels
    var lines: [UInt8] = []
    lines.reserveCapacity(image.height * (line + 1))
    for row in 0..<image.height {
      // Each line begins with the number of its filter: none.
      lines.append(0)
      lines += image.bytes[row * line..<(row + 1) * line]
    }
    let colour = Colour(channels: image.channels)
    let header = bigEndian(UInt32(image.width)) + bigEndian(UInt32(image.height)) + [8, colour.rawValue, 0, 0, 0]
    return signature + chunk("IHDR", header) + chunk("IDAT", try deflate(lines)) + chunk("IEND", [])
  }

  static func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + content
    return bigEndian(UInt32(content.count)) + body + bigEndian(checksum(body[...]))
  }

  static func bigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
  }
}
