import IR

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A dense tensor in host memory, aligned to 64 bytes, row-major. A value: a copy that is changed gets memory of its own.
public struct HostTensor: Sendable {
  public let type: TensorType
  private var storage: Storage

  /// The one owner of a piece of memory.
  private final class Storage: @unchecked Sendable {
    let bytes: UnsafeMutableRawBufferPointer

    /// Memory of unknown content; `nil` if there is none.
    init?(count: Int) {
      var memory: UnsafeMutableRawPointer?
      guard posix_memalign(&memory, 64, max(count, 1)) == 0, let memory else { return nil }
      bytes = UnsafeMutableRawBufferPointer(start: memory, count: count)
    }

    deinit { free(bytes.baseAddress) }
  }

  /// A tensor of zeros. Throws if this machine has no memory for it.
  public init(zeros type: TensorType) throws(Diagnostic) {
    try self.init(uninitialized: type)
    storage.bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  /// A tensor whose elements `fill` must set.
  public init(
    _ type: TensorType, fill: (UnsafeMutableRawBufferPointer) throws(Diagnostic) -> Void
  ) throws(Diagnostic) {
    try self.init(uninitialized: type)
    try fill(storage.bytes)
  }

  private init(uninitialized type: TensorType) throws(Diagnostic) {
    guard let bytes = type.checkedBytes, type.rows == nil, let storage = Storage(count: bytes) else {
      throw Diagnostic("there is no memory for a tensor of type \(type)")
    }
    self.type = type
    self.storage = storage
  }

  /// Bytes of all elements.
  public var byteCount: Int { storage.bytes.count }

  /// Lends the memory for reading.
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let result = try body(UnsafeRawBufferPointer(storage.bytes))
    withExtendedLifetime(storage) {}
    return result
  }

  /// Lends the memory for writing, after making it this tensor's own.
  public mutating func withMutableBytes<Result, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    if !isKnownUniquelyReferenced(&storage) {
      guard let copy = Storage(count: storage.bytes.count) else {
        preconditionFailure("no memory for a copy of a tensor of type \(type)")
      }
      copy.bytes.copyMemory(from: UnsafeRawBufferPointer(storage.bytes))
      storage = copy
    }
    let result = try body(storage.bytes)
    withExtendedLifetime(storage) {}
    return result
  }
}

// MARK: Elements

extension HostTensor {
  /// The elements of a literal, rounded to the type.
  public init(_ literal: Literal) throws(Diagnostic) {
    switch literal.elements {
    case .floats(let values): try self.init(literal.type, doubles: values)
    case .integers(let values): try self.init(literal.type, integers: values)
    }
  }

  /// A float tensor; as many elements as the type has.
  public init(_ type: TensorType, doubles: [Double]) throws(Diagnostic) {
    precondition(
      type.dtype.isFloat && doubles.count == type.count, "\(type) has \(type.count) floats, got \(doubles.count)")
    try self.init(type) { memory in
      doubles.withUnsafeBufferPointer { ElementCodec.encode($0, as: type.dtype, into: memory) }
    }
  }

  /// An integer or bool tensor; as many elements as the type has. Integers wrap, bools are "not zero".
  public init(_ type: TensorType, integers: [Int64]) throws(Diagnostic) {
    precondition(
      !type.dtype.isFloat && integers.count == type.count, "\(type) has \(type.count) integers, got \(integers.count)")
    try self.init(type) { memory in
      integers.withUnsafeBufferPointer { ElementCodec.encode($0, as: type.dtype, into: memory) }
    }
  }

  /// The elements as the interpreter takes them.
  public var literal: Literal {
    type.dtype.isFloat ? Literal(type, floats: doubles) : Literal(type, integers: integers)
  }

  /// The elements in row-major order; integers as doubles.
  public var doubles: [Double] {
    withBytes { bytes in
      [Double](unsafeUninitializedCapacity: type.count) { values, count in
        ElementCodec.decode(bytes, TensorFormat(type.dtype), into: values)
        count = type.count
      }
    }
  }

  /// The elements in row-major order; floats truncated.
  public var integers: [Int64] {
    withBytes { bytes in
      [Int64](unsafeUninitializedCapacity: type.count) { values, count in
        ElementCodec.decode(bytes, TensorFormat(type.dtype), into: values)
        count = type.count
      }
    }
  }

  /// The same numbers as another type: floats round, integers wrap.
  public func converted(to dtype: DType) throws(Diagnostic) -> HostTensor {
    if dtype == type.dtype { return self }
    return dtype.isFloat || (type.dtype.isFloat && dtype == .bool)
      ? try HostTensor(type.with(dtype), converting: doubles) : try HostTensor(type.with(dtype), integers: integers)
  }

  private init(_ type: TensorType, converting doubles: [Double]) throws(Diagnostic) {
    if type.dtype.isFloat {
      try self.init(type, doubles: doubles)
    } else {
      try self.init(type, integers: doubles.map { $0 == 0 ? 0 : 1 })
    }
  }

  /// The same elements in another shape with as many.
  public func reshaped(to shape: [Int]) -> HostTensor {
    let type = TensorType(self.type.dtype, shape)
    precondition(type.count == self.type.count, "\(self.type) does not fit \(type)")
    return HostTensor(type: type, storage: storage)
  }

  /// A copy of what stands at one place of the first axis.
  public func part(_ place: Int) throws(Diagnostic) -> HostTensor {
    precondition(type.rank > 0 && (0..<type.shape[0]).contains(place), "there is no place \(place) in \(type)")
    let part = TensorType(type.dtype, Array(type.shape.dropFirst()))
    return try HostTensor(part) { memory in
      withBytes { bytes in
        let count = memory.count
        memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[(place * count)..<(place * count + count)]))
      }
    }
  }

  private init(type: TensorType, storage: Storage) {
    self.type = type
    self.storage = storage
  }
}

extension HostTensor: Equatable {
  /// Equal types and equal bytes.
  public static func == (l: Self, r: Self) -> Bool {
    guard l.type == r.type else { return false }
    return l.withBytes { left in r.withBytes { right in memcmpEqual(left, right) } }
  }
}

private func memcmpEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
  guard a.count == b.count, let x = a.baseAddress, let y = b.baseAddress else { return a.count == b.count }
  return memcmp(x, y, a.count) == 0
}

extension TensorType {
  /// Elements of a shape from outside; `nil` if an extent is negative or there are too many.
  public static func checkedCount(_ shape: [Int]) -> Int? {
    // Extents of zero do not excuse the others: strides must fit as well.
    var (count, product) = (1, 1)
    for extent in shape {
      guard extent >= 0 else { return nil }
      let (next, overflow) = product.multipliedReportingOverflow(by: max(extent, 1))
      guard !overflow else { return nil }
      product = next
      count *= extent
    }
    return count
  }

  /// Bytes of a dense tensor whose shape came from outside; `nil` if there are too many.
  public var checkedBytes: Int? {
    guard let count = Self.checkedCount(shape) else { return nil }
    let (bytes, overflow) = count.multipliedReportingOverflow(by: dtype.size)
    return overflow ? nil : bytes
  }
}
