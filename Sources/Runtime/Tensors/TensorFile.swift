import IR

/// A safetensors file opened for reading: a JSON header that says where each tensor stands, then the tensors.
///
/// Every number of the header is checked against the size of the file before anything is allocated; a tensor is read
/// when it is asked for, once, into the memory where it is wanted.
public struct TensorFile: Sendable {
  public let path: String
  /// In the order in which they stand in the file.
  public let entries: [Entry]
  public let metadata: [String: String]
  private let numbers: [String: Int]
  private let file: Handle

  public struct Entry: Hashable, Sendable {
    public let name: String
    public let format: TensorFormat
    public let shape: [Int]
    /// Where its bytes stand in the file.
    public let bytes: Range<Int>

    /// The type it is read as when nothing else is asked for.
    public var type: TensorType { TensorType(format.dtype, shape) }
  }

  private final class Handle: Sendable {
    let open: OpenFile
    init(_ path: String) throws(Diagnostic) { open = try OpenFile(reading: path) }
  }

  public init(_ path: String) throws(Diagnostic) {
    self.path = path
    file = try Handle(path)
    let header = try TensorFileHeader(of: file.open)
    (entries, metadata) = (header.entries, header.metadata)
    numbers = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.name, $0) })
  }

  public var names: [String] { entries.map(\.name) }
  public func entry(_ name: String) -> Entry? { numbers[name].map { entries[$0] } }

  private func required(_ name: String) throws(Diagnostic) -> Entry {
    guard let entry = entry(name) else { throw Diagnostic("\(path): has no tensor '\(name)'") }
    return entry
  }

  /// Reads a tensor as it is stored (F64 as f32), or as `type`: floats convert, integers may become wider.
  public func tensor(_ name: String, as type: TensorType? = nil) throws(Diagnostic) -> HostTensor {
    let entry = try required(name)
    let wanted = type ?? entry.type
    return try HostTensor(wanted) { memory throws(Diagnostic) in try read(name, as: wanted, into: memory) }
  }

  /// Reads a tensor into memory of as many bytes as `type` has.
  public func read(_ name: String, as type: TensorType, into memory: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    let entry = try required(name)
    guard entry.shape == type.shape, type.rows == nil, ElementCodec.accepts(entry.format, as: type.dtype) else {
      throw Diagnostic("\(path): tensor '\(name)': wants \(type), got \(entry.format.rawValue)\(entry.shape)")
    }
    precondition(memory.count == type.bytes, "\(type) has \(type.bytes) bytes, got memory of \(memory.count)")
    // Truth values are stored as any byte that is not 0.
    if entry.format == TensorFormat(type.dtype), entry.format != .bool {
      return try file.open.read(memory, at: entry.bytes.lowerBound)
    }
    let pieceCount = 1 << 16
    let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceCount * entry.format.size, alignment: 64)
    defer { piece.deallocate() }
    var done = 0
    while done < type.count {
      let count = min(pieceCount, type.count - done)
      let source = UnsafeMutableRawBufferPointer(rebasing: piece[..<(count * entry.format.size)])
      try file.open.read(source, at: entry.bytes.lowerBound + done * entry.format.size)
      let size = type.dtype.size
      let target = UnsafeMutableRawBufferPointer(rebasing: memory[(done * size)..<((done + count) * size)])
      ElementCodec.convert(UnsafeRawBufferPointer(source), entry.format, into: target, type.dtype)
      done += count
    }
  }

  /// Reads a tensor for the interpreter; F64 keeps its precision.
  public func literal(_ name: String) throws(Diagnostic) -> Literal {
    let entry = try required(name)
    guard entry.format == .f64 else { return try tensor(name).literal }
    let bytes = try file.open.bytes(entry.bytes.count, at: entry.bytes.lowerBound)
    let doubles = bytes.withUnsafeBytes { bytes in
      [Double](unsafeUninitializedCapacity: entry.type.count) { values, count in
        count = entry.type.count
        ElementCodec.decode(bytes, .f64, into: UnsafeMutableBufferPointer(rebasing: values[..<count]))
      }
    }
    return Literal(entry.type, floats: doubles)
  }
}
