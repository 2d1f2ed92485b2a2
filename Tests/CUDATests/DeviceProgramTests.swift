import CUDABackend
import Compiler
import IR
import Ops
import Passes
import Runtime
import TestSupport
import Testing

/// Whole programs on a device, here the emulated one.
@Suite("programs on a device") struct DeviceProgramTests {
  /// A step whose state stays on the device, with a row sum beside it.
  static let step = """
    func @step(%w: f32[6, 40] donates 0, %x: f32[6, 40]) -> (%w: f32[6, 40], %sums: f32[6]) {
      %0 = multiply %w, %x : f32[6, 40]
      %1 = add %0, %x : f32[6, 40]
      %2 = reduce %1 {kind = sum, axes = [1]} : f32[6]
      return %1, %2
    }
    """

  static func module(_ text: String = step) throws -> Module {
    let parsed = try ParsedModule(parsing: text, file: "step.ir", ops: OpSet.table)
    try parsed.verify()
    return parsed.module
  }

  @Test("the first run, its recording and its replays do what the interpreter does")
  func replays() throws {
    let module = try Self.module()
    let truth = try compile(module, entry: "step", for: .interpreter)
    let program = try compile(module, entry: "step", for: .emulatedCUDA)
    let start = try HostTensor.random(.f32(6, 40), seed: 1)
    for executable in [truth, program] { try executable.write(start, to: 0) }
    for run in 0..<4 {
      let input = try HostTensor.random(.f32(6, 40), seed: UInt64(2 + run))
      for executable in [truth, program] {
        try executable.write(input, to: 1)
        try executable.run()
      }
      // The last runs are in the queue together: what is written for one must not reach the one before.
      if run == 1 { continue }
      for number in 0..<2 {
        let difference = try program.result(number).literal.difference(from: truth.result(number).literal)
        #expect(difference < 1e-5, "run \(run), result \(number)")
      }
      #expect(try program.parameter(0).literal.difference(from: truth.parameter(0).literal) < 1e-5)
    }
  }

  @Test("nothing is allocated after the first run")
  func allocations() throws {
    var made: TroubledQueue?
    let program = try Self.program { made = $0 }
    let queue = try #require(made)
    for number in 0..<2 { try program.write(HostTensor.random(.f32(6, 40), seed: 1), to: number) }
    try program.run()
    _ = try program.result(1)
    let (allocations, marks) = (queue.allocations, queue.marks)
    for _ in 0..<5 {
      try program.write(HostTensor.random(.f32(6, 40), seed: 3), to: 1)
      try program.run()
      _ = try program.result(1)
    }
    #expect(queue.allocations == allocations)
    #expect(queue.marks == marks)
    #expect(queue.replays == 5)
  }

  @Test("large tensors pass through a small ring unharmed")
  func transfers() throws { try Self.checkTransfers(on: EmulatedQueue([])) }

  static func checkTransfers(on queue: any DeviceQueue) throws {
    let room = Transfers.stagingBytes(largest: 1 << 20, limit: 1000)
    let staging = try queue.allocate(bytes: room)
    let transfers = try Transfers(queue, staging: staging.address, bytes: room)
    let memory = try queue.allocate(bytes: 100_003)
    let bytes = (0..<100_003).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    try bytes.withUnsafeBytes { (bytes) throws in try transfers.write(bytes, to: memory.address) }
    // And many small ones, more than the ring holds at a time.
    for number in 0..<50 {
      let two = [UInt8(number), UInt8(number + 1)]
      try two.withUnsafeBytes { (two) throws in try transfers.write(two, to: memory.address + UInt64(3 * number)) }
    }
    var found = [UInt8](repeating: 0, count: 100_003)
    try found.withUnsafeMutableBytes { (found) throws in try transfers.read(memory.address, into: found) }
    var wanted = bytes
    for number in 0..<50 { wanted.replaceSubrange(3 * number..<3 * number + 2, with: [UInt8(number), UInt8(number + 1)]) }
    #expect(found == wanted)
  }

  static func program(
    limit: Int? = nil, checks: Bool = false, free: Int? = nil, _ prepare: @escaping (TroubledQueue) -> Void = { _ in }
  ) throws -> DeviceProgram {
    let options = CompileOptions(deviceMemoryLimit: limit, checksLaunches: checks)
    return try DeviceProgram(module(), entry: "step", options: options) { kernels throws(Diagnostic) in
      let queue = TroubledQueue(try EmulatedQueue(kernels), free: free)
      prepare(queue)
      return queue
    }
  }

  /// The error of `body`.
  private func failure(_ body: () throws -> Void) throws -> Diagnostic {
    do {
      try body()
    } catch let error as Diagnostic {
      return error
    }
    throw Diagnostic("nothing failed")
  }

  @Test("a program that wants more memory than its limit is refused before anything is allocated")
  func limit() throws {
    var made: TroubledQueue?
    let error = try failure { _ = try Self.program(limit: 1000) { made = $0 } }
    #expect(made?.allocations == 0)
    #expect(error.message.hasPrefix("@step wants 6.00 KiB"))
    #expect(error.message.contains(" of memory on the emulated GPU, and the limit is 0.98 KiB: "))
    #expect(error.location.file == "step.ir" && error.location.isKnown)
    let full = try failure { _ = try Self.program(free: 1500) { made = $0 } }
    #expect(full.message.contains("and 1.46 KiB are free"))
    #expect(made?.allocations == 0)
    _ = try Self.program(limit: 10_000)
  }

  @Test("memory that cannot be had is told with the largest launch")
  func outOfMemory() throws {
    let error = try failure { _ = try Self.program { $0.trouble = .allocation } }
    #expect(error.message.contains(" of @step on the emulated GPU: CUDA cannot allocate"))
    #expect(error.location.file == "step.ir" && error.location.isKnown)
  }

  @Test("a launch that fails, at once or later, is told with its kernel and line", arguments: [false, true])
  func failingLaunch(later: Bool) throws {
    let program = try Self.program { $0.trouble = later ? .laterThan(launch: 0) : .launch(0) }
    let error = try failure { try program.run() }
    #expect(error.message.hasPrefix("@\(program.program.plan.steps[0].kernel) of @step on the emulated GPU: "))
    #expect(error.location == program.program.plan.steps[0].location && error.location.isKnown)
    // And from then on everything fails.
    #expect(throws: Diagnostic.self) { try program.run() }
  }

  @Test("a device that is lost after some runs is told, with a way to learn more")
  func lostDevice() throws {
    var made: TroubledQueue?
    let program = try Self.program { made = $0 }
    for _ in 0..<3 { try program.run() }
    made?.trouble = .everything
    let error = try failure { try program.run() }
    #expect(error.message.hasPrefix("in run 3 of @step on the emulated GPU: the device is lost"))
    #expect(error.message.hasSuffix("with --check-launches the launch at fault is named"))
    #expect(throws: Diagnostic.self) { _ = try program.result(0) }

    let checked = try Self.program(checks: true) { made = $0 }
    for _ in 0..<3 { try checked.run() }
    made?.trouble = .everything
    let located = try failure { try checked.run() }
    #expect(located.message.hasPrefix("@\(checked.program.plan.steps[0].kernel) of @step"))
    #expect(made?.replays == 0)
  }
}

/// A device that counts what is asked of it, and fails when it is told to.
final class TroubledQueue: DeviceQueue {
  enum Trouble: Equatable {
    case none, allocation, everything
    /// A launch is refused.
    case launch(Int)
    /// A launch is taken, and whoever waits for it learns that it failed.
    case laterThan(launch: Int)
  }

  var trouble = Trouble.none
  private(set) var allocations = 0
  private(set) var marks = 0
  private(set) var launches = 0
  private(set) var replays = 0
  private let queue: EmulatedQueue
  private let free: Int?

  init(_ queue: EmulatedQueue, free: Int? = nil) { (self.queue, self.free) = (queue, free) }

  private func check() throws(Diagnostic) {
    if trouble == .everything { throw Diagnostic("the device is lost") }
  }

  var deviceName: String { queue.deviceName }
  var scratchBytes: Int { queue.scratchBytes }
  func scratchBytes(of number: Int) -> Int { queue.scratchBytes(of: number) }
  var strands: Int { queue.strands }
  func freeBytes() throws(Diagnostic) -> Int? { free }

  func allocate(bytes: Int) throws(Diagnostic) -> DeviceMemory {
    if trouble == .allocation { throw Diagnostic("CUDA cannot allocate \(bytes) bytes: out of memory") }
    allocations += 1
    return try queue.allocate(bytes: bytes)
  }
  func allocateHost(bytes: Int) throws(Diagnostic) -> DeviceHostMemory {
    allocations += 1
    return try queue.allocateHost(bytes: bytes)
  }

  func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    try check()
    try queue.copy(from: host, to: address)
  }
  func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    try check()
    try queue.copy(from: address, to: host)
  }
  func copy(from source: UInt64, to target: UInt64, bytes: Int, strand: Int) throws(Diagnostic) {
    try check()
    try queue.copy(from: source, to: target, bytes: bytes, strand: strand)
  }
  func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64, strand: Int) throws(Diagnostic) {
    try check()
    if case .launch(let failing) = trouble, launches >= failing { throw Diagnostic("CUDA cannot launch: invalid value") }
    launches += 1
    try queue.launch(number, addresses, scratch: scratch, strand: strand)
  }

  func makeMark() throws(Diagnostic) -> any QueueMark {
    marks += 1
    return try queue.makeMark()
  }
  func synchronize() throws(Diagnostic) {
    // Work that was taken is done whatever the device says: memory must not go before it.
    try queue.synchronize()
    try check()
    if case .laterThan(let failing) = trouble, launches > failing {
      throw Diagnostic("CUDA cannot finish a stream: an illegal memory access was encountered")
    }
  }
  func record(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> any RecordedWork {
    Recorded(try queue.record(body), self)
  }

  private final class Recorded: RecordedWork {
    private let work: any RecordedWork
    private unowned let queue: TroubledQueue

    init(_ work: any RecordedWork, _ queue: TroubledQueue) { (self.work, self.queue) = (work, queue) }

    func replay() throws(Diagnostic) {
      try queue.check()
      queue.replays += 1
      try work.replay()
    }
  }
}
