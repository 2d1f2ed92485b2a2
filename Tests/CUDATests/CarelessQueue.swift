import CUDABackend
import IR

/// A GPU's queue whose marks do not hold a lane that they should hold.
final class CarelessQueue: DeviceQueue {
  private let queue: GPUQueue
  private let lane: DeviceLane

  init(_ queue: GPUQueue, holdsNot lane: DeviceLane) { (self.queue, self.lane) = (queue, lane) }

  var deviceName: String { queue.deviceName }
  var scratchBytes: Int { queue.scratchBytes }
  func scratchBytes(of number: Int) -> Int { queue.scratchBytes(of: number) }
  var strands: Int { queue.strands }
  func freeBytes() throws(Diagnostic) -> Int? { try queue.freeBytes() }
  func allocate(bytes: Int) throws(Diagnostic) -> DeviceMemory { try queue.allocate(bytes: bytes) }
  func allocateHost(bytes: Int) throws(Diagnostic) -> DeviceHostMemory { try queue.allocateHost(bytes: bytes) }
  func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    try queue.copy(from: host, to: address)
  }
  func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    try queue.copy(from: address, to: host)
  }
  func copy(from source: UInt64, to target: UInt64, bytes: Int, strand: Int) throws(Diagnostic) {
    try queue.copy(from: source, to: target, bytes: bytes, strand: strand)
  }
  func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64, strand: Int) throws(Diagnostic) {
    try queue.launch(number, addresses, scratch: scratch, strand: strand)
  }
  func synchronize() throws(Diagnostic) { try queue.synchronize() }
  func record(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> any RecordedWork { try queue.record(body) }
  func makeMark() throws(Diagnostic) -> any QueueMark { CarelessMark(try queue.makeMark(), holdsNot: lane) }
}

private final class CarelessMark: QueueMark {
  private let mark: any QueueMark
  private let lane: DeviceLane

  init(_ mark: any QueueMark, holdsNot lane: DeviceLane) { (self.mark, self.lane) = (mark, lane) }

  func set(in lane: DeviceLane) throws(Diagnostic) { try mark.set(in: lane) }
  func hold(_ lane: DeviceLane) throws(Diagnostic) {
    if lane != self.lane { try mark.hold(lane) }
  }
  func wait() throws(Diagnostic) { try mark.wait() }
  func seconds(since start: any QueueMark) throws(Diagnostic) -> Double { try mark.seconds(since: start) }
}
