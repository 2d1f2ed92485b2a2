import IR
import Runtime

/// A program's kernels on a GPU, and a stream that they run in.
public final class GPUQueue: DeviceQueue {
  public let device: CUDADevice
  private let stream: CUDAStream
  private let kernels: CUDAKernels

  /// Compiles kernels with the mappings that go with them; code is kept in `cacheDirectory`, if there is one. Without
  /// kernels, a queue for copies.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)], on device: CUDADevice,
    cacheDirectory: String? = CacheDirectory.standard
  ) throws(Diagnostic) {
    self.device = device
    self.kernels = try CUDAKernels(kernels, on: device, cacheDirectory: cacheDirectory)
    stream = try CUDAStream(on: device)
  }

  public var deviceName: String { device.name }
  public var scratchBytes: Int { kernels.scratchBytes }
  public func freeBytes() throws(Diagnostic) -> Int? { try device.freeMemory() }

  public func allocate(bytes: Int) throws(Diagnostic) -> DeviceMemory {
    let memory = try CUDAMemory(bytes: bytes, on: device)
    try stream.fill(memory, with: 0)
    return DeviceMemory(address: memory.address, bytes: bytes, owner: memory)
  }

  public func allocateHost(bytes: Int) throws(Diagnostic) -> DeviceHostMemory {
    let memory = try CUDAHostMemory(bytes: bytes, for: device)
    return DeviceHostMemory(bytes: memory.buffer, owner: memory)
  }

  public func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    try stream.copy(from: host, to: address)
  }
  public func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    try stream.copy(from: address, to: host)
  }
  public func copy(from source: UInt64, to target: UInt64, bytes: Int) throws(Diagnostic) {
    try stream.copy(from: source, to: target, bytes: bytes)
  }
  public func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64) throws(Diagnostic) {
    try kernels.run(number, addresses, scratch: scratch, on: stream)
  }

  public func makeMark() throws(Diagnostic) -> any QueueMark { Mark(try CUDAEvent(on: device), stream) }
  public func synchronize() throws(Diagnostic) { try stream.synchronize() }
  public func record(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> any RecordedWork {
    Recorded(try stream.capture(body), stream)
  }

  private final class Mark: QueueMark {
    private let event: CUDAEvent
    private let stream: CUDAStream

    init(_ event: CUDAEvent, _ stream: CUDAStream) { (self.event, self.stream) = (event, stream) }

    func set() throws(Diagnostic) { try stream.record(event) }
    func wait() throws(Diagnostic) { try event.synchronize() }
    func seconds(since start: any QueueMark) throws(Diagnostic) -> Double {
      guard let start = start as? Mark else { preconditionFailure("marks of one queue are compared") }
      return try event.seconds(since: start.event)
    }
  }

  private final class Recorded: RecordedWork {
    private let graph: CUDAGraph
    private let stream: CUDAStream

    init(_ graph: CUDAGraph, _ stream: CUDAStream) { (self.graph, self.stream) = (graph, stream) }

    func replay() throws(Diagnostic) { try graph.launch(on: stream) }
  }
}
