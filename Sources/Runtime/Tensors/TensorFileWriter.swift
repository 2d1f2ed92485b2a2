import IR

extension TensorFile {
  /// A tensor to be written. Its memory is asked for when its turn comes.
  public struct Item {
    public let name: String
    public let type: TensorType
    /// Lends the bytes to what it is given.
    let lend: ((UnsafeRawBufferPointer) throws(Diagnostic) -> Void) throws(Diagnostic) -> Void

    public init(
      _ name: String, _ type: TensorType,
      lend: @escaping ((UnsafeRawBufferPointer) throws(Diagnostic) -> Void) throws(Diagnostic) -> Void
    ) {
      self.name = name
      self.type = type
      self.lend = lend
    }

    public init(_ name: String, _ tensor: HostTensor) {
      self.init(name, tensor.type) { body throws(Diagnostic) in try tensor.withBytes(body) }
    }
  }

  /// Writes a safetensors file, whole or not at all.
  ///
  /// Wider elements come first, then names in order, so that every tensor is aligned to its elements.
  public static func write(_ items: [Item], metadata: [String: String] = [:], to path: String) throws(Diagnostic) {
    let sorted = items.sorted { ($1.type.dtype.size, $0.name) < ($0.type.dtype.size, $1.name) }
    var header = JSON.Object()
    if !metadata.isEmpty {
      var object = JSON.Object()
      for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { object.set(key, .string(value)) }
      header.set("__metadata__", .object(object))
    }
    var offset = 0
    for item in sorted {
      guard header[item.name] == nil, item.name != "__metadata__" else {
        throw Diagnostic("\(path): cannot be written: two tensors are called '\(item.name)'")
      }
      guard item.type.rows == nil else {
        throw Diagnostic("\(path): cannot be written: tensor '\(item.name)' is row-sparse")
      }
      let end = offset + item.type.bytes
      header.set(
        item.name,
        [
          "dtype": .string(TensorFormat(item.type.dtype).rawValue),
          "shape": .array(item.type.shape.map { .integer($0) }),
          "data_offsets": [.integer(offset), .integer(end)],
        ])
      offset = end
    }
    var text = Array(JSON.object(header).text().utf8)
    while !text.count.isMultiple(of: 8) { text.append(UInt8(ascii: " ")) }
    var file = try AtomicFile(path)
    try file.write((0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) })
    try file.write(text)
    for item in sorted { try write(item, to: &file) }
    try file.commit()
  }

  private static func write(_ item: Item, to file: inout AtomicFile) throws(Diagnostic) {
    // An escaping closure cannot hold the file: it leaves its place while the memory is lent.
    try withUnsafeMutablePointer(to: &file) { file throws(Diagnostic) in
      try item.lend { bytes throws(Diagnostic) in
        precondition(bytes.count == item.type.bytes, "\(item.type) has \(item.type.bytes) bytes, got \(bytes.count)")
        try file.pointee.write(bytes)
      }
    }
  }

  public static func write(_ tensors: [String: HostTensor], metadata: [String: String] = [:], to path: String)
    throws(Diagnostic)
  {
    try write(tensors.map { Item($0, $1) }, metadata: metadata, to: path)
  }
}
