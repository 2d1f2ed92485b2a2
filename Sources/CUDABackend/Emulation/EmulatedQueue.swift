import Dispatch
import IR
import Runtime
import Synchronization

/// A program's kernels under emulation, and the lanes that they run in.
///
/// Each lane has a thread of its own, so that a program which does not wait where it must is wrong here as on a GPU.
public final class EmulatedQueue: DeviceQueue {
  /// In which order the threads of a block run until they wait.
  public let order: EmulatedCUDA.ThreadOrder
  private let worker: Worker
  private var recording: [Work]?

  /// Compiles kernels with the mappings that go with them; code is kept in `cacheDirectory`, if there is one.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)], order: EmulatedCUDA.ThreadOrder = .ascending,
    cacheDirectory: String? = CacheDirectory.standard
  ) throws(Diagnostic) {
    self.order = order
    worker = Worker(try EmulatedCUDA.compile(kernels, cacheDirectory: cacheDirectory))
  }

  public var deviceName: String { "the emulated GPU" }
  public var scratchBytes: Int { worker.code.scratchBytes }
  public func scratchBytes(of number: Int) -> Int { worker.code.program.scratchBytes(of: number) }
  public var strands: Int { 1 }
  public func freeBytes() throws(Diagnostic) -> Int? { nil }

  public func allocate(bytes: Int) throws(Diagnostic) -> DeviceMemory {
    let arena = try self.arena(bytes)
    return DeviceMemory(address: address(arena.base), bytes: bytes, owner: arena)
  }

  public func allocateHost(bytes: Int) throws(Diagnostic) -> DeviceHostMemory {
    let arena = try self.arena(bytes)
    return DeviceHostMemory(bytes: UnsafeMutableRawBufferPointer(start: arena.base, count: bytes), owner: arena)
  }

  private func arena(_ bytes: Int) throws(Diagnostic) -> Arena {
    do throws(Violation) { return try Arena(size: max(1, bytes)) } catch { throw Diagnostic(error.message) }
  }

  public func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    guard let base = host.baseAddress else { return }
    try worker.put([.copy(from: self.address(base), to: address, bytes: host.count)], in: .uploads)
  }
  public func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    guard let base = host.baseAddress else { return }
    try worker.put([.copy(from: address, to: self.address(base), bytes: host.count)], in: .downloads)
  }
  public func copy(from source: UInt64, to target: UInt64, bytes: Int, strand: Int) throws(Diagnostic) {
    try put(.copy(from: source, to: target, bytes: bytes))
  }
  public func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64, strand: Int) throws(Diagnostic) {
    try put(.launch(number, addresses, scratch: scratch, order))
  }

  public func makeMark() throws(Diagnostic) -> any QueueMark { Mark(worker) }
  public func synchronize() throws(Diagnostic) { try worker.synchronize() }

  public func record(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> any RecordedWork {
    recording = []
    defer { recording = nil }
    try body()
    return Recorded(worker, recording ?? [])
  }

  private func put(_ work: Work) throws(Diagnostic) {
    if recording == nil { try worker.put([work], in: .work) } else { recording?.append(work) }
  }

  private func address(_ pointer: UnsafeRawPointer) -> UInt64 { UInt64(UInt(bitPattern: pointer)) }

  fileprivate enum Work: Sendable {
    case copy(from: UInt64, to: UInt64, bytes: Int)
    case launch(Int, [UInt64], scratch: UInt64, EmulatedCUDA.ThreadOrder)
  }

  private final class Recorded: RecordedWork {
    private let worker: Worker
    private let work: [Work]

    init(_ worker: Worker, _ work: [Work]) { (self.worker, self.work) = (worker, work) }

    func replay() throws(Diagnostic) { try worker.put(work, in: .work) }
  }

  private final class Mark: QueueMark {
    private let worker: Worker
    private var place: Worker.Place?

    init(_ worker: Worker) { self.worker = worker }

    func set(in lane: DeviceLane) throws(Diagnostic) { place = worker.place(in: lane) }
    func hold(_ lane: DeviceLane) throws(Diagnostic) {
      if let place { worker.hold(lane, at: place) }
    }
    func wait() throws(Diagnostic) {
      place?.reached.wait()
      try worker.check()
    }
    func seconds(since start: any QueueMark) throws(Diagnostic) -> Double {
      guard let from = (start as? Mark)?.place?.time.withLock({ $0 }), let to = place?.time.withLock({ $0 }) else {
        preconditionFailure("marks of one queue are compared, which are reached")
      }
      return Double(to.uptimeNanoseconds - from.uptimeNanoseconds) * 1e-9
    }
  }
}

/// Does the work of a queue, each lane in its order.
private final class Worker: Sendable {
  let code: EmulatedCUDA
  private let threads = Dictionary(
    uniqueKeysWithValues: [DeviceLane.work, .uploads, .downloads]
      .map { ($0, DispatchQueue(label: "millrace.emulated-device.\($0)")) })
  /// What went wrong first; nothing is done any more.
  private let failure = Mutex<Diagnostic?>(nil)

  init(_ code: EmulatedCUDA) { self.code = code }

  func put(_ work: [EmulatedQueue.Work], in lane: DeviceLane) throws(Diagnostic) {
    try check()
    threads[lane]?.async {
      for work in work where self.failure.withLock({ $0 == nil }) { self.perform(work) }
    }
  }

  func synchronize() throws(Diagnostic) {
    for thread in threads.values { thread.sync {} }
    try check()
  }

  func check() throws(Diagnostic) {
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  private func perform(_ work: EmulatedQueue.Work) {
    switch work {
    case .copy(let from, let to, let bytes):
      guard let from = UnsafeRawPointer(bitPattern: UInt(from)), let to = UnsafeMutableRawPointer(bitPattern: UInt(to))
      else { preconditionFailure("copies are between places of memory") }
      to.copyMemory(from: from, byteCount: bytes)
    case .launch(let number, let addresses, let scratch, let order):
      do throws(Diagnostic) {
        try code.run(number, addresses, scratch: scratch, order: order)
      } catch {
        failure.withLock { $0 = error }
      }
    }
  }

  /// A place in a lane: whether and when it was reached.
  final class Place: Sendable {
    let reached = DispatchGroup()
    let time = Mutex<DispatchTime?>(nil)
  }

  func place(in lane: DeviceLane) -> Place {
    let place = Place()
    place.reached.enter()
    threads[lane]?.async {
      place.time.withLock { $0 = .now() }
      place.reached.leave()
    }
    return place
  }

  func hold(_ lane: DeviceLane, at place: Place) {
    threads[lane]?.async { place.reached.wait() }
  }
}
