import IR

/// A queue of work of a GPU, done in its order.
public final class CUDAStream: @unchecked Sendable {
  public let device: CUDADevice
  let handle: CUDA.Handle

  public init(on device: CUDADevice) throws(Diagnostic) {
    try device.makeCurrent()
    // Not held up by the default stream.
    let notBlocking: UInt32 = 1
    handle = try device.driver.made("open a stream") { device.driver.streamCreate($0, notBlocking) }
    self.device = device
  }

  deinit {
    if (try? device.makeCurrent()) != nil { _ = device.driver.streamDestroy(handle) }
  }

  /// Copies host bytes to the GPU, in the order of the stream; the host memory must stay until the stream got there.
  public func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    guard let base = host.baseAddress, !host.isEmpty else { return }
    try device.makeCurrent()
    try device.driver.check(device.driver.copyToDevice(address, base, host.count, handle), "copy to \(device.name)")
  }

  /// Copies bytes to the host, in the order of the stream; they are there when the stream got there.
  public func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    guard let base = host.baseAddress, !host.isEmpty else { return }
    try device.makeCurrent()
    try device.driver.check(device.driver.copyToHost(base, address, host.count, handle), "copy from \(device.name)")
  }

  /// Copies within the GPU.
  public func copy(from source: UInt64, to target: UInt64, bytes: Int) throws(Diagnostic) {
    guard bytes > 0 else { return }
    try device.makeCurrent()
    try device.driver.check(device.driver.copyOnDevice(target, source, bytes, handle), "copy on \(device.name)")
  }

  /// Sets every byte of some memory.
  public func fill(_ memory: CUDAMemory, with byte: UInt8) throws(Diagnostic) {
    guard memory.bytes > 0 else { return }
    try device.makeCurrent()
    try device.driver.check(
      device.driver.fill(memory.address, byte, memory.bytes, handle), "fill memory of \(device.name)")
  }

  /// Waits until all is done that was put into the stream.
  public func synchronize() throws(Diagnostic) {
    try device.makeCurrent()
    try device.driver.check(device.driver.streamSynchronize(handle), "finish a stream")
  }

  /// Marks the place the stream is at.
  public func record(_ event: CUDAEvent) throws(Diagnostic) {
    try device.makeCurrent()
    try device.driver.check(device.driver.eventRecord(event.handle, handle), "record an event")
  }

  /// What comes later in this stream waits for the event.
  public func wait(for event: CUDAEvent) throws(Diagnostic) {
    try device.makeCurrent()
    try device.driver.check(device.driver.streamWait(handle, event.handle, 0), "wait for an event")
  }

  /// Work put into the stream by `body`, as one graph; nothing of it is done yet. `body` neither allocates nor
  /// synchronizes.
  public func capture(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> CUDAGraph {
    try device.makeCurrent()
    // Only calls of this thread count as work of the capture.
    let threadLocal: UInt32 = 1
    try device.driver.check(device.driver.streamBeginCapture(handle, threadLocal), "begin a graph")
    var failure: Diagnostic?
    do throws(Diagnostic) { try body() } catch { failure = error }
    // The capture is ended whatever happened, or the stream stays useless.
    var graph: CUDA.Handle?
    let status = device.driver.streamEndCapture(handle, &graph)
    defer { if let graph { _ = device.driver.graphDestroy(graph) } }
    if let failure { throw failure }
    try device.driver.check(status, "end a graph")
    guard let graph else { throw Diagnostic("CUDA cannot end a graph: the driver gives nothing") }
    return try CUDAGraph(graph, on: device)
  }
}

/// A place in a stream.
public final class CUDAEvent: @unchecked Sendable {
  private let device: CUDADevice
  let handle: CUDA.Handle

  public init(on device: CUDADevice) throws(Diagnostic) {
    try device.makeCurrent()
    handle = try device.driver.made("make an event") { device.driver.eventCreate($0, 0) }
    self.device = device
  }

  deinit {
    if (try? device.makeCurrent()) != nil { _ = device.driver.eventDestroy(handle) }
  }

  /// Waits until the stream got there.
  public func synchronize() throws(Diagnostic) {
    try device.makeCurrent()
    try device.driver.check(device.driver.eventSynchronize(handle), "wait for an event")
  }

  /// Seconds of the GPU from one event to another; both have happened.
  public func seconds(since start: CUDAEvent) throws(Diagnostic) -> Double {
    try device.makeCurrent()
    var milliseconds: Float = 0
    try device.driver.check(device.driver.eventMilliseconds(&milliseconds, start.handle, handle), "tell a time")
    return Double(milliseconds) / 1000
  }
}

/// Work that was captured, ready to be done again and again with one call.
public final class CUDAGraph: @unchecked Sendable {
  private let device: CUDADevice
  private let handle: CUDA.Handle

  fileprivate init(_ graph: CUDA.Handle, on device: CUDADevice) throws(Diagnostic) {
    handle = try device.driver.made("make a graph ready") { device.driver.graphInstantiate($0, graph, 0) }
    self.device = device
  }

  deinit {
    if (try? device.makeCurrent()) != nil { _ = device.driver.graphExecutableDestroy(handle) }
  }

  public func launch(on stream: CUDAStream) throws(Diagnostic) {
    try device.makeCurrent()
    try device.driver.check(device.driver.graphLaunch(handle, stream.handle), "launch a graph")
  }
}
