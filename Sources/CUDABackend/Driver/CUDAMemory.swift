import IR

/// Memory of a GPU. One owner; freed when the owner ends.
public final class CUDAMemory: @unchecked Sendable {
  public let bytes: Int
  public let device: CUDADevice
  /// Where it starts, in the GPU's address space.
  public let address: UInt64

  public init(bytes: Int, on device: CUDADevice) throws(Diagnostic) {
    guard bytes >= 0 else { throw Diagnostic("memory of \(bytes) bytes") }
    try device.makeCurrent()
    var address: CUDA.Address = 0
    // The driver gives no memory of no bytes.
    try device.driver.check(device.driver.allocate(&address, max(bytes, 1)), "allocate \(bytes) bytes on \(device.name)")
    (self.bytes, self.device, self.address) = (bytes, device, address)
  }

  deinit {
    // Freeing waits for the work that uses the memory.
    if (try? device.makeCurrent()) != nil { _ = device.driver.free(address) }
  }

  /// Copies host bytes to `offset`, in the order of the stream; the host memory must stay until the stream got there.
  public func copy(from host: UnsafeRawBufferPointer, at offset: Int = 0, on stream: CUDAStream) throws(Diagnostic) {
    guard let base = host.baseAddress, !host.isEmpty else { return }
    try check(offset, host.count)
    try device.makeCurrent()
    try device.driver.check(
      device.driver.copyToDevice(address + UInt64(offset), base, host.count, stream.handle), "copy to \(device.name)")
  }

  /// Copies bytes at `offset` to the host, in the order of the stream; they are there when the stream got there.
  public func copy(to host: UnsafeMutableRawBufferPointer, at offset: Int = 0, on stream: CUDAStream) throws(Diagnostic) {
    guard let base = host.baseAddress, !host.isEmpty else { return }
    try check(offset, host.count)
    try device.makeCurrent()
    try device.driver.check(
      device.driver.copyToHost(base, address + UInt64(offset), host.count, stream.handle), "copy from \(device.name)")
  }

  /// Copies within the GPU.
  public func copy(
    from source: CUDAMemory, at sourceOffset: Int = 0, to offset: Int = 0, bytes: Int, on stream: CUDAStream
  ) throws(Diagnostic) {
    guard bytes > 0 else { return }
    try source.check(sourceOffset, bytes)
    try check(offset, bytes)
    try device.makeCurrent()
    let (from, to) = (source.address + UInt64(sourceOffset), address + UInt64(offset))
    try device.driver.check(device.driver.copyOnDevice(to, from, bytes, stream.handle), "copy on \(device.name)")
  }

  /// Sets every byte.
  public func fill(with byte: UInt8 = 0, on stream: CUDAStream) throws(Diagnostic) {
    guard bytes > 0 else { return }
    try device.makeCurrent()
    try device.driver.check(device.driver.fill(address, byte, bytes, stream.handle), "fill memory of \(device.name)")
  }

  private func check(_ offset: Int, _ count: Int) throws(Diagnostic) {
    guard offset >= 0, count >= 0, offset <= bytes - count else {
      throw Diagnostic("bytes \(offset) ..< \(offset + count) of GPU memory of \(bytes) bytes")
    }
  }
}

/// Host memory that a GPU copies to and from at full speed, while the processor does something else.
public final class CUDAHostMemory: @unchecked Sendable {
  public let buffer: UnsafeMutableRawBufferPointer
  private let device: CUDADevice

  public init(bytes: Int, for device: CUDADevice) throws(Diagnostic) {
    try device.makeCurrent()
    var base: UnsafeMutableRawPointer?
    try device.driver.check(device.driver.allocateHost(&base, max(bytes, 1), 0), "allocate \(bytes) bytes of host memory")
    buffer = UnsafeMutableRawBufferPointer(start: base, count: bytes)
    self.device = device
  }

  deinit {
    if let base = buffer.baseAddress, (try? device.makeCurrent()) != nil { _ = device.driver.freeHost(base) }
  }
}
