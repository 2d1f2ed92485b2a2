import IR

/// How files store elements; the raw values are the names safetensors gives them.
public enum TensorFormat: String, Hashable, Sendable, CaseIterable {
  case f64 = "F64"
  case f32 = "F32"
  case f16 = "F16"
  case bf16 = "BF16"
  case i64 = "I64"
  case i32 = "I32"
  case u8 = "U8"
  case bool = "BOOL"

  public init(_ dtype: DType) {
    switch dtype {
    case .f32: self = .f32
    case .bf16: self = .bf16
    case .f16: self = .f16
    case .i32: self = .i32
    case .i64: self = .i64
    case .u8: self = .u8
    case .bool: self = .bool
    }
  }

  /// The element type it is read as: F64 becomes f32.
  public var dtype: DType {
    switch self {
    case .f64, .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .i64: .i64
    case .i32: .i32
    case .u8: .u8
    case .bool: .bool
    }
  }

  /// Bytes one element takes.
  public var size: Int { self == .f64 ? 8 : dtype.size }
}

/// Elements between memory (little endian, any alignment) and Swift's numbers.
enum ElementCodec {
  static func decode(
    _ bytes: UnsafeRawBufferPointer, _ format: TensorFormat, into values: UnsafeMutableBufferPointer<Double>
  ) {
    precondition(
      bytes.count == values.count * format.size, "\(values.count) elements of \(format.rawValue) have as many bytes")
    func each(_ element: (Int) -> Double) {
      for index in values.indices { values.initializeElement(at: index, to: element(index)) }
    }
    switch format {
    case .f64: each { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self) }
    case .f32: each { Double(bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)) }
    case .f16: each { Double(Half(bits: bytes.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)).float) }
    case .bf16: each { Double(BFloat16(bits: bytes.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)).float) }
    case .i64: each { Double(bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
    case .i32: each { Double(bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
    case .u8: each { Double(bytes[$0]) }
    case .bool: each { bytes[$0] == 0 ? 0 : 1 }
    }
  }

  /// Floats are truncated; what no integer can hold becomes 0.
  static func decode(
    _ bytes: UnsafeRawBufferPointer, _ format: TensorFormat, into values: UnsafeMutableBufferPointer<Int64>
  ) {
    precondition(
      bytes.count == values.count * format.size, "\(values.count) elements of \(format.rawValue) have as many bytes")
    func each(_ element: (Int) -> Int64) {
      for index in values.indices { values.initializeElement(at: index, to: element(index)) }
    }
    switch format {
    case .f64, .f32, .f16, .bf16:
      let doubles = [Double](unsafeUninitializedCapacity: values.count) { doubles, count in
        decode(bytes, format, into: UnsafeMutableBufferPointer(rebasing: doubles[0..<values.count]))
        count = values.count
      }
      each { Int64(exactly: doubles[$0].rounded(.towardZero)) ?? 0 }
    case .i64: each { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self) }
    case .i32: each { Int64(bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) }
    case .u8: each { Int64(bytes[$0]) }
    case .bool: each { bytes[$0] == 0 ? 0 : 1 }
    }
  }

  static func encode(_ values: UnsafeBufferPointer<Double>, as dtype: DType, into bytes: UnsafeMutableRawBufferPointer)
  {
    precondition(
      bytes.count == values.count * dtype.size, "\(values.count) elements of \(dtype.rawValue) have as many bytes")
    switch dtype {
    case .f32:
      for (index, value) in values.enumerated() {
        bytes.storeBytes(of: Float(value), toByteOffset: index * 4, as: Float.self)
      }
    case .f16:
      for (index, value) in values.enumerated() {
        bytes.storeBytes(of: Half(Float(value)).bits, toByteOffset: index * 2, as: UInt16.self)
      }
    case .bf16:
      for (index, value) in values.enumerated() {
        bytes.storeBytes(of: BFloat16(Float(value)).bits, toByteOffset: index * 2, as: UInt16.self)
      }
    case .i64, .i32, .u8, .bool: preconditionFailure("floats are stored as floats")
    }
  }

  static func encode(_ values: UnsafeBufferPointer<Int64>, as dtype: DType, into bytes: UnsafeMutableRawBufferPointer) {
    precondition(
      bytes.count == values.count * dtype.size, "\(values.count) elements of \(dtype.rawValue) have as many bytes")
    switch dtype {
    case .i64:
      for (index, value) in values.enumerated() { bytes.storeBytes(of: value, toByteOffset: index * 8, as: Int64.self) }
    case .i32:
      for (index, value) in values.enumerated() {
        bytes.storeBytes(of: Int32(truncatingIfNeeded: value), toByteOffset: index * 4, as: Int32.self)
      }
    case .u8: for (index, value) in values.enumerated() { bytes[index] = UInt8(truncatingIfNeeded: value) }
    case .bool: for (index, value) in values.enumerated() { bytes[index] = value == 0 ? 0 : 1 }
    case .f32, .bf16, .f16: preconditionFailure("integers are stored as integers")
    }
  }

  /// Whether elements of a file can be taken for `dtype`: floats for floats, and integers that lose nothing.
  static func accepts(_ format: TensorFormat, as dtype: DType) -> Bool {
    switch (format, dtype) {
    case (.f64, _), (.f32, _), (.f16, _), (.bf16, _): dtype.isFloat
    case (.i64, .i64), (.i32, .i64), (.u8, .i64), (.i32, .i32), (.u8, .i32), (.u8, .u8), (.bool, .bool): true
    case (.i64, _), (.i32, _), (.u8, _), (.bool, _): false
    }
  }

  /// Elements of one kind as another that `accepts` allows.
  static func convert(
    _ bytes: UnsafeRawBufferPointer, _ format: TensorFormat, into memory: UnsafeMutableRawBufferPointer, _ dtype: DType
  ) {
    let count = bytes.count / format.size
    withUnsafeTemporaryAllocation(of: Int64.self, capacity: count) { scratch in
      if dtype.isFloat {
        scratch.withMemoryRebound(to: Double.self) { doubles in
          decode(bytes, format, into: doubles)
          encode(UnsafeBufferPointer(doubles), as: dtype, into: memory)
        }
      } else {
        decode(bytes, format, into: scratch)
        encode(UnsafeBufferPointer(scratch), as: dtype, into: memory)
      }
    }
  }
}
