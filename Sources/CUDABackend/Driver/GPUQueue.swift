import IR
import Runtime

/// A program's kernels on a GPU, and the streams of its lanes.
public final class GPUQueue: DeviceQueue {
  public let device: CUDADevice
  private let streams: Streams
  private let kernels: CUDAKernels

  /// Compiles kernels with the mappings that go with them; code is kept in `cacheDirectory`, if there is one. Without
  /// kernels, a queue for copies.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)], on device: CUDADevice,
    cacheDirectory: String? = CacheDirectory.standard
  ) throws(Diagnostic) {
    self.device = device
    self.kernels = try CUDAKernels(kernels, on: device, cacheDirectory: cacheDirectory)
    var strands: [CUDAStream] = []
    for _ in 0..<4 { strands.append(try CUDAStream(on: device)) }
    streams = try Streams(strands: strands, uploads: CUDAStream(on: device), downloads: CUDAStream(on: device))
  }

  public var deviceName: String { device.name }
  public var scratchBytes: Int { kernels.scratchBytes }
  public func scratchBytes(of number: Int) -> Int { kernels.scratchBytes(of: number) }
  public var strands: Int { streams.strands.count }
  public func freeBytes() throws(Diagnostic) -> Int? { try device.freeMemory() }

  public func allocate(bytes: Int) throws(Diagnostic) -> DeviceMemory {
    let memory = try CUDAMemory(bytes: bytes, on: device)
    // Copies of any lane may come next.
    try streams.work.fill(memory, with: 0)
    try streams.work.synchronize()
    return DeviceMemory(address: memory.address, bytes: bytes, owner: memory)
  }

  public func allocateHost(bytes: Int) throws(Diagnostic) -> DeviceHostMemory {
    let memory = try CUDAHostMemory(bytes: bytes, for: device)
    return DeviceHostMemory(bytes: memory.buffer, owner: memory)
  }

  public func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    try streams.uploads.copy(from: host, to: address)
  }
  public func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    try streams.downloads.copy(from: address, to: host)
  }
  public func copy(from source: UInt64, to target: UInt64, bytes: Int, strand: Int) throws(Diagnostic) {
    try streams.strands[strand].copy(from: source, to: target, bytes: bytes)
  }
  public func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64, strand: Int) throws(Diagnostic) {
    try kernels.run(number, addresses, scratch: scratch, on: streams.strands[strand])
  }

  public func makeMark() throws(Diagnostic) -> any QueueMark { Mark(try CUDAEvent(on: device), streams) }
  public func synchronize() throws(Diagnostic) {
    for stream in [streams.work, streams.uploads, streams.downloads] { try stream.synchronize() }
  }
  public func record(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> any RecordedWork {
    Recorded(try streams.work.capture(body), streams.work)
  }

  private struct Streams {
    let strands: [CUDAStream]
    let uploads: CUDAStream, downloads: CUDAStream
    var work: CUDAStream { strands[0] }

    subscript(lane: DeviceLane) -> CUDAStream {
      switch lane {
      case .strand(let number): strands[number]
      case .uploads: uploads
      case .downloads: downloads
      }
    }
  }

  private final class Mark: QueueMark {
    private let event: CUDAEvent
    private let streams: Streams

    init(_ event: CUDAEvent, _ streams: Streams) { (self.event, self.streams) = (event, streams) }

    func set(in lane: DeviceLane) throws(Diagnostic) { try streams[lane].record(event) }
    func hold(_ lane: DeviceLane) throws(Diagnostic) { try streams[lane].wait(for: event) }
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
