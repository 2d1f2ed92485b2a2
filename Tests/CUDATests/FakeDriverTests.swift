import CUDABackend
import Compiler
import Foundation
import IR
import Ops
import Passes
import Runtime
import Synchronization
import TestSupport
import Testing

/// The whole GPU path on a driver that is this processor, which does everything late, or copies early, and is strict.
@Suite("programs on the driver") struct FakeDriverTests {
  static func options(checks: Bool = false, limit: Int? = nil) -> CompileOptions {
    CompileOptions(cacheDirectory: FakeCUDA.cache, deviceMemoryLimit: limit, checksLaunches: checks)
  }

  /// A product of matrices that is large enough for the library, with something before and behind it.
  static let product = """
    func @step(%w: f32[70, 90] donates 0, %x: f32[40, 70]) -> (%w: f32[70, 90], %y: f32[40, 90], %g: f32[70, 90]) {
      %0 = contract %x, %w {equation = "ij,jk->ik"} : f32[40, 90]
      %1 = tanh %0 : f32[40, 90]
      %2 = contract %x, %1 {equation = "ij,ik->jk"} : f32[70, 90]
      %3 = add %w, %2 : f32[70, 90]
      return %3, %1, %2
    }
    """

  /// Runs three steps, giving each its input as a trainer does: while the step before may still be running.
  static func steps(_ program: some Executable, seed: UInt64) throws -> [[UInt8]] {
    let types = program.function.parameters.map { program.function.type(of: $0) }
    for (number, type) in types.enumerated() {
      try program.write(HostTensor.random(type, seed: seed + UInt64(number)), to: number)
    }
    var found: [[UInt8]] = []
    for step in 0..<3 {
      try program.run()
      let next = types.count - 1
      try program.write(HostTensor.random(types[next], seed: seed + 10 + UInt64(step)), to: next)
      for number in program.function.results.indices { found.append(try program.result(number).literal.memory) }
    }
    for number in types.indices { found.append(try program.parameter(number).literal.memory) }
    return found
  }

  static let texts = [DeviceProgramTests.step, product]

  @Test("own kernels do bit for bit what they do under emulation", arguments: texts, [false, true])
  func emulated(text: String, early: Bool) throws {
    let module = try DeviceProgramTests.module(text)
    let fake = try FakeCUDA(hasProducts: false)
    fake.copy(early: early)
    let device = try fake.device()
    let program = try DeviceProgram(module, entry: "step", options: Self.options()) { kernels throws(Diagnostic) in
      try GPUQueue(kernels, on: device, cacheDirectory: FakeCUDA.cache)
    }
    let emulated = try DeviceProgram(emulated: module, entry: "step", options: Self.options())
    #expect(try Self.steps(program, seed: 3) == Self.steps(emulated, seed: 3))
    #expect(fake.count("replay") == 2)
  }

  @Test("blocks and their gradients do so too", arguments: [ProgramTests.blocks[0], ProgramTests.blocks[3]])
  func blocks(block: ProgramTests.Block) throws {
    for function in try block.functions() {
      let module = Module(functions: [function])
      let fake = try FakeCUDA(hasProducts: false)
      let device = try fake.device()
      let program = try DeviceProgram(module, entry: function.name, options: Self.options()) { kernels throws(Diagnostic) in
        try GPUQueue(kernels, on: device, cacheDirectory: FakeCUDA.cache)
      }
      let emulated = try DeviceProgram(emulated: module, entry: function.name, options: Self.options())
      #expect(try Self.steps(program, seed: 5) == Self.steps(emulated, seed: 5))
    }
  }

  /// A program on a fake device that is large enough for it.
  static func program(
    _ text: String, on fake: FakeCUDA, checks: Bool = false, limit: Int? = nil,
    _ change: @escaping (GPUQueue) -> any DeviceQueue = { $0 }
  ) throws -> DeviceProgram {
    let device = try fake.device()
    var limits = ThreadLimits()
    limits.libraryFlops = 0
    let options = options(checks: checks, limit: limit)
    return try DeviceProgram(DeviceProgramTests.module(text), entry: "step", options: options, within: limits) {
      kernels throws(Diagnostic) in change(try GPUQueue(kernels, on: device, cacheDirectory: FakeCUDA.cache))
    }
  }

  @Test(
    "products are the library's, or our own where it does not take one, and right",
    arguments: [(false, "none"), (true, "none"), (false, "algorithm:1")])
  func products(early: Bool, fault: String) throws {
    let fake = try FakeCUDA()
    fake.copy(early: early)
    fake.fail(fault)
    let program = try Self.program(Self.product, on: fake)
    let truth = try compile(DeviceProgramTests.module(Self.product), entry: "step", for: .interpreter)
    for (found, wanted) in zip(try Self.steps(program, seed: 4), try Self.steps(truth, seed: 4)) {
      let type = TensorType.f32(found.count / 4)
      let difference = found.withUnsafeBytes { found in
        wanted.withUnsafeBytes { wanted in
          Literal(type, memory: found.baseAddress!).difference(from: Literal(type, memory: wanted.baseAddress!))
        }
      }
      #expect(difference < 1e-4)
    }
    #expect(fake.count("products") == (fault == "none" ? 4 : 2))
  }

  @Test("large tensors pass through a small ring unharmed", arguments: [false, true])
  func ring(early: Bool) throws {
    let fake = try FakeCUDA()
    fake.copy(early: early)
    try DeviceProgramTests.checkTransfers(on: GPUQueue([], on: fake.device()))
  }

  @Test("all memory of the device is planned, the products' too, and held to the limit")
  func memory() throws {
    let fake = try FakeCUDA()
    let program = try Self.program(Self.product, on: fake)
    try program.run()
    _ = try program.result(0)
    #expect(fake.bytes == program.plannedBytes)
    #expect(program.queue.scratchBytes == 1 << 20)
    let allocations = fake.count("allocation")
    #expect(throws: Diagnostic.self) { _ = try Self.program(Self.product, on: fake, limit: 1 << 20) }
    #expect(fake.count("allocation") == allocations)
    _ = try Self.program(Self.product, on: fake, limit: program.plannedBytes)
  }

  @Test("memory goes back with its program")
  func freed() throws {
    let fake = try FakeCUDA()
    for _ in 0..<3 { try Self.program(Self.product, on: fake).run() }
    #expect(fake.bytes == 0)
  }

  @Test("a later run is one replay, and makes nothing", arguments: texts)
  func replays(text: String) throws {
    let fake = try FakeCUDA()
    let program = try Self.program(text, on: fake)
    let input = try HostTensor.random(program.function.type(of: program.function.parameters[1]), seed: 1)
    func step() throws {
      try program.write(input, to: 1)
      try program.run()
      _ = try program.result(1)
    }
    try step()
    let made = ["allocation", "host_allocation", "events", "streams", "modules", "graphs", "launch", "products"]
    let before = made.map(fake.count)
    for run in 1...5 {
      try step()
      #expect(fake.count("replay") == run)
    }
    #expect(made.map(fake.count) == before)
  }

  @Test("what is written goes to the device while the last run goes on, and what is read does not wait for it")
  func overlap() throws {
    let fake = try FakeCUDA()
    let program = try Self.program(DeviceProgramTests.step, on: fake)
    let input = try HostTensor.random(.f32(6, 40), seed: 1)
    for number in 0..<2 { try program.write(input, to: number) }
    try program.run()
    _ = try program.result(1)

    fake.copy(early: true)
    try program.run()
    let (kernels, arrived) = (fake.count("kernel"), fake.count("arrived"))
    try program.write(input, to: 1)
    #expect(fake.count("arrived") == arrived + 1)
    #expect(fake.count("kernel") == kernels)

    fake.copy(early: false)
    try program.run()
    try program.write(input, to: 1)
    _ = try program.result(1)
    #expect(fake.count("kernel") > kernels)
    #expect(fake.count("arrived") == arrived + 1)
    _ = try program.parameter(1)
    #expect(fake.count("arrived") == arrived + 2)
  }

  @Test("a mark that holds no lane shows", arguments: [DeviceLane.work, .downloads])
  func forgottenHold(lane: DeviceLane) throws {
    let (fake, careful) = (try FakeCUDA(), try FakeCUDA())
    for fake in [fake, careful] { fake.copy(early: lane == .downloads) }
    let wrong = try Self.program(DeviceProgramTests.step, on: fake) { CarelessQueue($0, holdsNot: lane) }
    let right = try Self.program(DeviceProgramTests.step, on: careful)
    #expect(try Self.steps(wrong, seed: 3) != Self.steps(right, seed: 3))
  }

  @Test("samples run on the driver as the interpreter runs them", arguments: [false, true])
  func samples(hasProducts: Bool) throws {
    let fake = try FakeCUDA(hasProducts: hasProducts)
    let device = try fake.device()
    let stream = try CUDAStream(on: device)
    let samples = Sample.products
    var limits = ThreadLimits()
    limits.libraryFlops = 0
    let mapped = try samples.map { ($0.kernel, try mapToThreads($0.kernel, within: limits)) }
    let kernels = try CUDAKernels(mapped, on: device, cacheDirectory: FakeCUDA.cache)
    for (number, sample) in samples.enumerated() {
      let got = try sample.run(by: kernels, number, on: stream)
      for (got, wanted) in zip(got, try sample.interpreted()) {
        #expect(got.difference(from: wanted) <= sample.tolerance * 4, "\(sample.kernel.name)")
      }
    }
    #expect((fake.count("products") > 0) == hasProducts)
  }

  @Test("a profile has every launch, with its time")
  func profile() throws {
    let fake = try FakeCUDA()
    let program = try Self.program(Self.product, on: fake)
    let times = try program.profile()
    #expect(times.map(\.kernel) == program.program.plan.steps.map(\.kernel))
    #expect(times.allSatisfy { $0.seconds >= 0 } && times.contains { $0.seconds > 0 })
  }

  @Test("a program runs on whatever thread calls")
  func threads() throws {
    let fake = try FakeCUDA()
    let outcome = Mutex<Result<[[UInt8]], any Error>?>(nil)
    let (module, seed) = (try DeviceProgramTests.module(), UInt64(3))
    let emulated = try Self.steps(DeviceProgram(emulated: module, entry: "step", options: Self.options()), seed: seed)
    for _ in 0..<2 {
      let thread = Thread {
        let found = Result { try Self.steps(Self.program(DeviceProgramTests.step, on: fake), seed: seed) }
        outcome.withLock { $0 = found }
      }
      thread.start()
      while !thread.isFinished { usleep(1000) }
      #expect(try outcome.withLock { $0 }?.get() == emulated)
    }
  }

  @Test("code that was compiled once is found, for this NVRTC and this driver")
  func cache() throws {
    let first = try FakeCUDA()
    try Self.program(DeviceProgramTests.step, on: first).run()
    let second = try FakeCUDA()
    try Self.program(DeviceProgramTests.step, on: second).run()
    #expect(second.count("compiled") == 0)
  }
}
