import IR

/// numpy's `.npy` files: one tensor behind a header that is a Python dictionary, in versions 1 to 3, little endian.
public enum NumpyFile {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let maximumHeader = 1 << 16

  /// Reads a tensor; `<f8` becomes f32, and Fortran order is turned into C order.
  public static func read(_ path: String) throws(Diagnostic) -> HostTensor {
    let file = try OpenFile(reading: path)
    guard file.size >= 10, try file.bytes(6, at: 0) == magic else { throw Diagnostic("\(path): is no .npy file") }
    let major = try file.bytes(1, at: 6)[0]
    guard (1...3).contains(major) else { throw Diagnostic("\(path): .npy version \(major) is not supported") }
    let lengthSize = major == 1 ? 2 : 4
    guard file.size >= 8 + lengthSize else { throw Diagnostic("\(path): is cut short") }
    let length = try file.bytes(lengthSize, at: 8).reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= maximumHeader else {
      throw Diagnostic("\(path): its header has \(length) bytes, at most \(maximumHeader) are allowed")
    }
    let start = 8 + lengthSize + length
    guard start <= file.size else { throw Diagnostic("\(path): is cut short: its header has \(length) bytes") }
    var header = NumpyHeader(try file.bytes(length, at: 8 + lengthSize))
    do throws(Violation) { try header.parse() } catch { throw Diagnostic("\(path): \(error.message)") }

    let (format, shape) = (header.format, header.shape)
    guard let count = TensorType.checkedCount(shape), count <= (.max - start) / 8 else {
      throw Diagnostic("\(path): shape \(shape) is impossible")
    }
    let wanted = start + count * format.size
    guard wanted == file.size else {
      throw Diagnostic("\(path): \(header.descriptor) of shape \(shape): wants \(wanted) bytes, got \(file.size)")
    }
    let type = TensorType(format.dtype, shape)
    let stored = try HostTensor(header.isFortran ? type.with(shape: shape.reversed()) : type) {
      memory throws(Diagnostic) in
      if format == .f64 || format == .bool {
        let bytes = try file.bytes(count * format.size, at: start)
        bytes.withUnsafeBytes { ElementCodec.convert($0, format, into: memory, format.dtype) }
      } else {
        try file.read(memory, at: start)
      }
    }
    return header.isFortran ? try reversingAxes(of: stored) : stored
  }

  /// The tensor with its axes in the opposite order.
  private static func reversingAxes(of tensor: HostTensor) throws(Diagnostic) -> HostTensor {
    let type = tensor.type.with(shape: tensor.type.shape.reversed())
    let strides = Array(tensor.type.strides.reversed())
    let size = type.dtype.size
    return try HostTensor(type) { memory throws(Diagnostic) in
      tensor.withBytes { source in
        for (target, position) in Positions(of: type.shape).enumerated() {
          let offset = zip(position, strides).reduce(0) { $0 + $1.0 * $1.1 }
          for byte in 0..<size { memory[target * size + byte] = source[offset * size + byte] }
        }
      }
    }
  }

  /// Writes a tensor, whole or not at all; bf16, which numpy does not know, as `<f4`.
  public static func write(_ tensor: HostTensor, to path: String) throws(Diagnostic) {
    let tensor = tensor.type.dtype == .bf16 ? try tensor.converted(to: .f32) : tensor
    let descriptor =
      switch tensor.type.dtype {
      case .f32, .bf16: "<f4"
      case .f16: "<f2"
      case .i32: "<i4"
      case .i64: "<i8"
      case .u8: "|u1"
      case .bool: "|b1"
      }
    let extents = tensor.type.shape.map { "\($0)" }.joined(separator: ", ") + (tensor.type.rank == 1 ? "," : "")
    var header = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': (\(extents)), }"
    let padding = 64 - (10 + header.utf8.count + 1) % 64
    header += String(repeating: " ", count: padding % 64) + "\n"
    let length = header.utf8.count
    var file = try AtomicFile(path)
    try file.write(magic + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)])
    try file.write(header)
    try withUnsafeMutablePointer(to: &file) { file throws(Diagnostic) in
      try tensor.withBytes { bytes throws(Diagnostic) in try file.pointee.write(bytes) }
    }
    try file.commit()
  }
}

/// The dictionary of a `.npy` file.
private struct NumpyHeader {
  private let bytes: [UInt8]
  private var at = 0
  private(set) var descriptor = ""
  private(set) var format = TensorFormat.f32
  private(set) var isFortran = false
  private(set) var shape: [Int] = []

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func parse() throws(Violation) {
    var seen: Set<String> = []
    try expect("{")
    while !take("}") {
      let key = try string()
      try require(seen.insert(key).inserted, "the header has the key '\(key)' twice")
      try expect(":")
      switch key {
      case "descr": try readDescriptor()
      case "fortran_order": isFortran = try boolean()
      case "shape": shape = try tuple()
      default: throw "the header has an unknown key '\(key)'" as Violation
      }
      if !take(",") {
        try expect("}")
        break
      }
    }
    skipSpace()
    try require(at == bytes.count, "something follows the header's dictionary")
    try require(
      seen.count == 3,
      "the header wants the keys descr, fortran_order and shape, got \(seen.sorted().joined(separator: ", "))")
  }

  private mutating func readDescriptor() throws(Violation) {
    descriptor = try string()
    let known: [String: TensorFormat] = [
      "<f4": .f32, "<f8": .f64, "<f2": .f16, "<i8": .i64, "<i4": .i32, "|u1": .u8, "<u1": .u8, "|b1": .bool,
    ]
    guard let known = known[descriptor] else {
      let order = descriptor.hasPrefix(">") ? "big-endian elements" : "elements of type"
      throw "\(order) '\(descriptor)' are not supported" as Violation
    }
    format = known
  }

  private mutating func skipSpace() {
    while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x0a || bytes[at] == 0x09 { at += 1 }
  }

  private mutating func take(_ token: String) -> Bool {
    skipSpace()
    guard bytes[at...].starts(with: token.utf8) else { return false }
    at += token.utf8.count
    return true
  }

  private mutating func expect(_ token: String) throws(Violation) {
    if !take(token) { throw "the header wants '\(token)' at byte \(at)" as Violation }
  }

  private mutating func string() throws(Violation) -> String {
    let quote: UInt8 = take("'") ? UInt8(ascii: "'") : UInt8(ascii: "\"")
    if quote == UInt8(ascii: "\"") { try expect("\"") }
    guard let end = bytes[at...].firstIndex(of: quote) else { throw "a string of the header does not end" as Violation }
    defer { at = end + 1 }
    return String(decoding: bytes[at..<end], as: UTF8.self)
  }

  private mutating func boolean() throws(Violation) -> Bool {
    if take("True") { return true }
    try expect("False")
    return false
  }

  private mutating func tuple() throws(Violation) -> [Int] {
    var extents: [Int] = []
    try expect("(")
    while !take(")") {
      skipSpace()
      let digits = bytes[at...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      guard let extent = Int(String(decoding: digits, as: UTF8.self)), extents.count < 32 else {
        throw "the header wants a number at byte \(at)" as Violation
      }
      extents.append(extent)
      at += digits.count
      _ = take("L")
      if !take(",") {
        try expect(")")
        break
      }
    }
    return extents
  }
}
