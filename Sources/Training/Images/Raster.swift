import IR

/// An image of 8 bits a channel, row by row, the channels of a pixel together.
public struct Raster: Hashable, Sendable {
  public let width, height: Int
  /// 1 for grey, 2 for grey and opacity, 3 for red, green and blue, 4 with opacity.
  public let channels: Int
  public var bytes: [UInt8]

  public init(width: Int, height: Int, channels: Int, bytes: [UInt8]) {
    precondition(bytes.count == width * height * channels, "an image has a byte for each channel of each pixel")
    self.width = width
    self.height = height
    self.channels = channels
    self.bytes = bytes
  }

  /// An image of one grey.
  public init(width: Int, height: Int, channels: Int, grey: UInt8) {
    self.init(
      width: width, height: height, channels: channels,
      bytes: [UInt8](repeating: grey, count: width * height * channels))
  }

  /// The image with 1, 3 or 4 channels; opacity that is not asked for is left out, and where there is none it is full.
  public func converted(to wanted: Int) -> Raster {
    guard wanted != channels else { return self }
    var converted: [UInt8] = []
    converted.reserveCapacity(width * height * wanted)
    for pixel in 0..<width * height {
      let at = pixel * channels
      let isGrey = channels < 3
      let (red, green, blue) = (bytes[at], bytes[isGrey ? at : at + 1], bytes[isGrey ? at : at + 2])
      if wanted == 1 {
        converted.append(isGrey ? red : Raster.luma(red, green, blue))
      } else {
        converted += [red, green, blue]
        if wanted == 4 { converted.append(channels % 2 == 0 ? bytes[at + channels - 1] : 255) }
      }
    }
    return Raster(width: width, height: height, channels: wanted, bytes: converted)
  }

  /// How bright a colour is (Rec. 601).
  private static func luma(_ red: UInt8, _ green: UInt8, _ blue: UInt8) -> UInt8 {
    let sum: Int = 299 * Int(red) + 587 * Int(green)
    return UInt8((sum + 114 * Int(blue) + 500) / 1000)
  }

  /// Copies an image of as many channels to a place where it fits, each pixel as a square of `scale` pixels.
  public mutating func draw(_ image: Raster, x: Int, y: Int, scale: Int = 1) {
    let (right, bottom) = (x + image.width * scale, y + image.height * scale)
    precondition(image.channels == channels && x >= 0 && y >= 0, "what is drawn lies inside")
    precondition(right <= width && bottom <= height, "what is drawn lies inside")
    for row in y..<bottom {
      for column in x..<right {
        let (fromRow, fromColumn) = ((row - y) / scale, (column - x) / scale)
        let from = (fromRow * image.width + fromColumn) * channels
        let to = (row * width + column) * channels
        for channel in 0..<channels { bytes[to + channel] = image.bytes[from + channel] }
      }
    }
  }
}
