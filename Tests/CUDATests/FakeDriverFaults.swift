import CUDABackend
import Compiler
import IR
import Passes
import TestSupport
import Testing

/// What goes wrong on a driver, and how it is told.
@Suite("faults of the driver") struct FakeDriverFaults {
  /// The error of `body`.
  private func failure(_ body: () throws -> Void) throws -> Diagnostic {
    do { try body() } catch let error as Diagnostic { return error }
    throw Diagnostic("nothing failed")
  }

  @Test("memory that is not there, a refused launch and one that fails are told with their place")
  func firstFaults() throws {
    for fault in ["allocation:1", "host_allocation:1", "host_allocation:2"] {
      let fake = try FakeCUDA()
      fake.fail(fault)
      let error = try failure { _ = try FakeDriverTests.program(DeviceProgramTests.step, on: fake) }
      #expect(error.message.contains(" of @step on Fake GPU: CUDA cannot allocate ") && error.location.isKnown)
      #expect(error.message.hasSuffix(": out of memory"))
      // The device goes on.
      try FakeDriverTests.program(DeviceProgramTests.step, on: fake).run()
    }
    let faults = [
      "launch:1": "too many resources requested for launch", "kernel:1": "an illegal memory access was encountered",
    ]
    for (fault, why) in faults {
      let fake = try FakeCUDA()
      let program = try FakeDriverTests.program(DeviceProgramTests.step, on: fake)
      fake.fail(fault)
      let error = try failure { try program.run() }
      #expect(error.message.hasPrefix("@\(program.program.plan.steps[0].kernel) of @step on Fake GPU: "))
      #expect(error.message.hasSuffix(why))
      #expect(error.location == program.program.plan.steps[0].location && error.location.isKnown)
    }
  }

  @Test("a fault in a later run is told with the run, or with its launch if every launch is checked; then all fails")
  func laterFaults() throws {
    let fake = try FakeCUDA()
    let program = try FakeDriverTests.program(DeviceProgramTests.step, on: fake)
    for _ in 0..<2 { try program.run() }
    fake.fail("replay:1")
    let error = try failure {
      try program.run()
      _ = try program.result(1)
    }
    #expect(error.message.hasPrefix("in run 3 of @step on Fake GPU: CUDA cannot "))
    #expect(error.message.hasSuffix("with --check-launches the launch at fault is named"))
    #expect(throws: Diagnostic.self) { try program.run() }
    #expect(throws: Diagnostic.self) { _ = try FakeDriverTests.program(DeviceProgramTests.step, on: fake) }

    let other = try FakeCUDA()
    let checked = try FakeDriverTests.program(DeviceProgramTests.step, on: other, checks: true)
    for _ in 0..<2 { try checked.run() }
    other.fail("kernel:1")
    let located = try failure { try checked.run() }
    #expect(located.message.hasPrefix("@\(checked.program.plan.steps[0].kernel) of @step on Fake GPU: "))

    let third = try FakeCUDA()
    let lost = try FakeDriverTests.program(DeviceProgramTests.step, on: third)
    for _ in 0..<2 { try lost.run() }
    third.fail("call:1")
    let unknown = "unknown error; with --check-launches the launch at fault is named"
    #expect(try failure { try lost.run() }.message.hasSuffix(unknown))
  }

  @Test("what must not happen in a capture is an error, and the stream is of use afterwards")
  func captures() throws {
    let fake = try FakeCUDA()
    let device = try fake.device()
    let stream = try CUDAStream(on: device)
    let memory = try CUDAMemory(bytes: 64, on: device)
    let event = try CUDAEvent(on: device)
    let host = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
    defer { host.deallocate() }
    let unsupported = "operation not permitted when stream is capturing"
    let forbidden: [(String, () throws(Diagnostic) -> Void)] = [
      (unsupported, { () throws(Diagnostic) in try stream.synchronize() }),
      (unsupported, { () throws(Diagnostic) in _ = try CUDAMemory(bytes: 64, on: device) }),
      (unsupported, { () throws(Diagnostic) in
        try stream.copy(from: UnsafeRawBufferPointer(host), to: memory.address)
      }),
      ("dependency created on uncaptured work in another stream", { () throws(Diagnostic) in try stream.wait(for: event) }),
    ]
    for (why, body) in forbidden {
      let error = try failure { _ = try stream.capture(body) }
      #expect(error.message.hasSuffix(why))
      try stream.fill(memory, with: 1)
      try stream.synchronize()
    }
    let graph = try stream.capture { () throws(Diagnostic) in try stream.fill(memory, with: 7) }
    for byte: UInt8 in [1, 7] {
      try stream.copy(from: memory.address, to: host)
      #expect(host.allSatisfy { $0 == byte })
      try graph.launch(on: stream)
    }
  }
}
