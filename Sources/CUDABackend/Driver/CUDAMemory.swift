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
