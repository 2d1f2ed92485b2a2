import CZlib
import IR

/// How compressed bytes are wrapped.
enum Compression {
  /// A gzip file of one or more members (dictzip's too).
  case gzip
  /// One zlib stream, as in PNG.
  case zlib
}

/// Whether a file is in gzip's format (dictzip's too).
func isGzip(_ bytes: [UInt8]) -> Bool { bytes.starts(with: [0x1f, 0x8b]) }

/// The content of a gzip file of one or more members, of at most `limit` bytes.
func gunzip(_ bytes: [UInt8], limit: Int, file: String) throws(Diagnostic) -> [UInt8] {
  try inflate(bytes, .gzip, limit: limit, file: file)
}

/// The content of compressed bytes, of at most `limit` bytes.
func inflate(
  _ bytes: [UInt8], _ compression: Compression, limit: Int, file: String
) throws(Diagnostic) -> [UInt8] {
  var stream = z_stream()
  // 15: the largest window; 16 more: a gzip header and its checksum.
  let window: Int32 = compression == .gzip ? 15 + 16 : 15
  guard inflateInit2_(&stream, window, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
    throw Diagnostic("\(file): zlib does not start")
  }
  defer { inflateEnd(&stream) }
  var content: [UInt8] = []
  content.reserveCapacity(min(limit, bytes.count * 4))
  var piece = [UInt8](repeating: 0, count: 1 << 18)
  var consumed = 0
  while true {
    var status = Z_OK
    var produced = 0
    let available = min(bytes.count - consumed, 1 << 30)
    bytes.withUnsafeBufferPointer { input in
      piece.withUnsafeMutableBufferPointer { output in
        // zlib reads through this pointer and never writes.
        stream.next_in = input.baseAddress.map { UnsafeMutablePointer(mutating: $0 + consumed) }
        stream.avail_in = UInt32(available)
        stream.next_out = output.baseAddress
        stream.avail_out = UInt32(output.count)
        status = CZlib.inflate(&stream, Z_NO_FLUSH)
        produced = output.count - Int(stream.avail_out)
      }
    }
    consumed += available - Int(stream.avail_in)
    guard content.count + produced <= limit else {
      throw Diagnostic("\(file): holds more than \(limit) bytes when unpacked")
    }
    content += piece[..<produced]
    switch status {
    case Z_STREAM_END:
      if consumed == bytes.count { return content }
      guard compression == .gzip, inflateReset(&stream) == Z_OK else {
        throw Diagnostic("\(file): is damaged: something follows the compressed bytes")
      }
    case Z_OK: continue
    case Z_BUF_ERROR where consumed == bytes.count: throw Diagnostic("\(file): is cut short")
    default:
      let reason = stream.msg.map { String(cString: $0) } ?? "zlib error \(status)"
      throw Diagnostic("\(file): is damaged: \(reason)")
    }
  }
}

/// Bytes as one zlib stream.
func deflate(_ bytes: [UInt8]) throws(Diagnostic) -> [UInt8] {
  var count = compressBound(uLong(bytes.count))
  var packed = [UInt8](repeating: 0, count: Int(count))
  guard compress2(&packed, &count, bytes, uLong(bytes.count), Z_DEFAULT_COMPRESSION) == Z_OK else {
    throw Diagnostic("zlib cannot pack \(bytes.count) bytes")
  }
  return Array(packed.prefix(Int(count)))
}
