import IR
import Runtime

extension PNG {
  /// The image that a file's bytes hold.
  static func decode(_ bytes: [UInt8], file: String) throws(Diagnostic) -> Raster {
    var reader = try Reader(bytes, file: file)
    return try reader.image()
  }

  /// What a file says about its image.
  private struct Header {
    let width, height, depth: Int
    let colour: Colour

    /// Bytes of a line, without its filter's number.
    var line: Int { (width * colour.samples * depth + 7) / 8 }
    /// How far back the pixel before lies, for filters.
    var pixel: Int { max(1, colour.samples * depth / 8) }
  }

  private struct Reader {
    private let bytes: [UInt8]
    private let file: String
    private var place: Int

    init(_ bytes: [UInt8], file: String) throws(Diagnostic) {
      guard bytes.starts(with: PNG.signature) else { throw Diagnostic("\(file): is no PNG file") }
      self.bytes = bytes
      self.file = file
      place = PNG.signature.count
    }

    mutating func image() throws(Diagnostic) -> Raster {
      let first = try chunk()
      guard first.name == "IHDR" else { throw failure("wants a header first, got '\(first.name)'") }
      let header = try header(Array(first.content))
      var palette: [UInt8] = []
      var packed: [UInt8] = []
      while true {
        let (name, content) = try chunk()
        switch name {
        case "PLTE": palette = Array(content)
        case "IDAT": packed += content
        case "IEND": return try image(header, palette, packed)
        default:
          // A capital first letter says that the image cannot be understood without this.
          guard let first = name.utf8.first, first & 0x20 != 0 else {
            throw failure("has a part '\(name)' that is not understood")
          }
        }
      }
    }

    private func failure(_ message: String) -> Diagnostic { Diagnostic("\(file): \(message)") }

    /// The next part of the file, whole and undamaged.
    private mutating func chunk() throws(Diagnostic) -> (name: String, content: ArraySlice<UInt8>) {
      guard bytes.count - place >= 12 else { throw failure("is cut short") }
      let count = Int(number(at: place))
      guard count <= bytes.count - place - 12 else { throw failure("is cut short") }
      let body = bytes[(place + 4)..<(place + 8 + count)]
      let name = String(decoding: body.prefix(4), as: UTF8.self)
      guard number(at: place + 8 + count) == PNG.checksum(body) else {
        throw failure("is damaged: the checksum of '\(name)' at byte \(place) is wrong")
      }
      place += 12 + count
      return (name, body.dropFirst(4))
    }

    private func number(at place: Int) -> UInt32 {
      bytes[place..<place + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func header(_ content: [UInt8]) throws(Diagnostic) -> Header {
      guard content.count == 13 else { throw failure("wants a header of 13 bytes, got \(content.count)") }
      func size(_ start: Int) -> Int { content[start..<start + 4].reduce(0) { $0 << 8 | Int($1) } }
      let (width, height) = (size(0), size(4))
      guard (1...PNG.largest).contains(width), (1...PNG.largest).contains(height) else {
        throw failure("wants sides of 1 to \(PNG.largest) pixels, got \(width) × \(height)")
      }
      let depth = Int(content[8])
      guard let colour = Colour(rawValue: content[9]) else { throw failure("has the unknown colour type \(content[9])") }
      let depths = colour == .palette || colour == .grey ? [1, 2, 4, 8] : [8]
      guard depths.contains(depth) else { throw failure("wants 8 bits a channel, got \(depth)") }
      guard content[10] == 0, content[11] == 0 else { throw failure("is packed in an unknown way") }
      guard content[12] == 0 else { throw failure("is interlaced, which is not supported") }
      return Header(width: width, height: height, depth: depth, colour: colour)
    }

    private func image(_ header: Header, _ palette: [UInt8], _ packed: [UInt8]) throws(Diagnostic) -> Raster {
      let count = header.height * (header.line + 1)
      let lines = try inflate(packed, .zlib, limit: count, file: file)
      guard lines.count == count else { throw failure("wants \(count) bytes of pixels, got \(lines.count)") }
      let samples = unpacked(try unfiltered(lines, header), header)
      let channels = header.colour == .palette ? 3 : header.colour.samples
      let content = header.colour == .palette ? try coloured(samples, palette) : samples
      return Raster(width: header.width, height: header.height, channels: channels, bytes: content)
    }

    /// The lines without what predicted them from the pixel before (a), the line above (b) and the pixel before that (c).
    private func unfiltered(_ lines: [UInt8], _ header: Header) throws(Diagnostic) -> [UInt8] {
      let (line, pixel) = (header.line, header.pixel)
      var result = [UInt8](repeating: 0, count: header.height * line)
      for row in 0..<header.height {
        let filter = lines[row * (line + 1)]
        guard filter <= 4 else { throw failure("has the unknown filter \(filter) in line \(row)") }
        for column in 0..<line {
          let to = row * line + column
          let a = column >= pixel ? result[to - pixel] : 0
          let b = row > 0 ? result[to - line] : 0
          let c = column >= pixel && row > 0 ? result[to - line - pixel] : 0
          let predicted: UInt8
          switch filter {
          case 0: predicted = 0
          case 1: predicted = a
          case 2: predicted = b
          case 3: predicted = UInt8((Int(a) + Int(b)) / 2)
          default: predicted = PNG.nearest(a, b, c)
          }
          result[to] = lines[row * (line + 1) + 1 + column] &+ predicted
        }
      }
      return result
    }

    /// Samples of less than 8 bits, a byte each; greys spread over the whole range.
    private func unpacked(_ bytes: [UInt8], _ header: Header) -> [UInt8] {
      guard header.depth < 8 else { return bytes }
      let perByte = 8 / header.depth
      let mask = UInt8((1 << header.depth) - 1)
      let scale: UInt8 = header.colour == .grey ? 255 / mask : 1
      var samples: [UInt8] = []
      for row in 0..<header.height {
        for column in 0..<header.width {
          let shift = 8 - header.depth * (column % perByte + 1)
          samples.append((bytes[row * header.line + column / perByte] >> shift & mask) * scale)
        }
      }
      return samples
    }

    private func coloured(_ numbers: [UInt8], _ palette: [UInt8]) throws(Diagnostic) -> [UInt8] {
      guard palette.count % 3 == 0, !palette.isEmpty else {
        throw failure("has no palette, or one that is no list of colours")
      }
      var colours: [UInt8] = []
      for number in numbers {
        let start = 3 * Int(number)
        guard start < palette.count else { throw failure("wants colours below \(palette.count / 3), got \(number)") }
        colours += palette[start..<start + 3]
      }
      return colours
    }
  }

  /// Of three neighbours the one nearest to a + b − c; of equally near ones the first.
  private static func nearest(_ a: UInt8, _ b: UInt8, _ c: UInt8) -> UInt8 {
    let estimate = Int(a) + Int(b) - Int(c)
    let (byA, byB, byC) = (abs(estimate - Int(a)), abs(estimate - Int(b)), abs(estimate - Int(c)))
    if byA <= byB && byA <= byC { return a }
    return byB <= byC ? b : c
  }
}
