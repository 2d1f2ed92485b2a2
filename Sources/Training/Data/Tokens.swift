import CZlib
import IR
import Runtime

/// Token ids as they lie in memory or in a file: one, two or four bytes each, little-endian.
public struct Tokens: Sendable {
  public enum Format: String, Sendable, CaseIterable {
    case u8, u16, u32

    public var size: Int {
      switch self {
      case .u8: 1
      case .u16: 2
      case .u32: 4
      }
    }
  }

  public let format: Format
  public let count: Int
  private let storage: Storage

  private enum Storage: Sendable {
    case memory([UInt8])
    case file(MappedFile)
  }

  /// Bytes as ids.
  public init(bytes: [UInt8]) { (format, count, storage) = (.u8, bytes.count, .memory(bytes)) }

  public init(_ ids: [UInt32]) {
    let format: Format = ids.allSatisfy { $0 <= UInt16.max } ? .u16 : .u32
    var bytes: [UInt8] = []
    bytes.reserveCapacity(ids.count * format.size)
    for id in ids {
      for place in 0..<format.size { bytes.append(UInt8(truncatingIfNeeded: id >> UInt32(8 * place))) }
    }
    (self.format, count, storage) = (format, ids.count, .memory(bytes))
  }

  /// The ids of a file, which is mapped, not read.
  public init(file path: String, _ format: Format) throws(Diagnostic) {
    let file = try MappedFile(path)
    guard file.count % format.size == 0 else {
      throw Diagnostic("\(path): ids of \(format.size) bytes do not fill \(file.count) bytes")
    }
    (self.format, count, storage) = (format, file.count / format.size, .file(file))
  }

  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    switch storage {
    case .file(let file): return try file.withBytes(body)
    case .memory(let bytes):
      // `Array` lends its bytes to closures that throw anything.
      var result: Swift.Result<Result, Failure>?
      bytes.withUnsafeBytes { memory in
        do throws(Failure) { result = .success(try body(memory)) } catch { result = .failure(error) }
      }
      guard let result else { preconditionFailure("the closure was called") }
      return try result.get()
    }
  }

  /// Copies the ids of a range to the start of `target`.
  public func copy(_ range: Range<Int>, to target: UnsafeMutableBufferPointer<Int64>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "the ids \(range) are among the \(count)")
    withBytes { bytes in
      switch format {
      case .u8: for (place, at) in range.enumerated() { target[place] = Int64(bytes[at]) }
      case .u16: for (place, at) in range.enumerated() { target[place] = Int64(bytes.id(at, UInt16.self)) }
      case .u32: for (place, at) in range.enumerated() { target[place] = Int64(bytes.id(at, UInt32.self)) }
      }
    }
  }

  public subscript(place: Int) -> Int {
    var id: Int64 = 0
    withUnsafeMutablePointer(to: &id) { copy(place..<place + 1, to: UnsafeMutableBufferPointer(start: $0, count: 1)) }
    return Int(id)
  }

  /// The place of the first id that is none of a vocabulary's.
  public func firstPlace(beyond vocabulary: Int) -> Int? {
    guard vocabulary <= 1 << (8 * format.size) - 1 else { return nil }
    return withBytes { bytes in
      switch format {
      case .u8: bytes.firstIndex { Int($0) >= vocabulary }
      case .u16: (0..<count).first { Int(bytes.id($0, UInt16.self)) >= vocabulary }
      case .u32: (0..<count).first { Int(bytes.id($0, UInt32.self)) >= vocabulary }
      }
    }
  }

  public var checksum: UInt { withBytes { UInt(crc32_z(0, $0.baseAddress, z_size_t($0.count))) } }
}

extension UnsafeRawBufferPointer {
  fileprivate func id<ID: FixedWidthInteger>(_ place: Int, _ type: ID.Type) -> ID {
    ID(littleEndian: loadUnaligned(fromByteOffset: place * MemoryLayout<ID>.size, as: type))
  }
}
