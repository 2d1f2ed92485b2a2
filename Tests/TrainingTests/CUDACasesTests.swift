import CUDABackend
import Compiler
import IR
import Passes
import Runtime
import Synchronization
import TestSupport
import Testing

@testable import Training

/// The golden cases as a GPU would answer them: all but the driver is tried.
@Suite("golden cases as CUDA") struct CUDACasesTests {
  @Test("emulated, every case passes, and NVRTC compiles its kernels", arguments: GoldenCases.names(""))
  func passes(name: String) throws {
    let programs = Collected()
    var options = CompileOptions()
    options.inspect = { program in programs.list.withLock { $0.append(program) } }
    let file = try GoldenCases.file(name)
    let verdict = try file.compare(CaseRunner(.emulatedCUDA, options: options).run(file))
    #expect(verdict.passed, "\(verdict.text())")
    let lowered = programs.list.withLock { $0 }
    #expect(!lowered.isEmpty)
    guard NVRTC.absence == nil else { return }
    let new = try Set(lowered.flatMap(\.module.kernels).filter { Self.seen.isNew($0) })
    for architecture in NVRTC.Architecture.allCases {
      let kernels = try lowered.flatMap { try $0.mapped(within: ThreadLimits(for: architecture)) }.filter { new.contains($0.kernel) }
      let program = try CUDAProgram(kernels)
      let pieces = try CUDACompiler(for: architecture, threads: 1, effort: .least).compile(program)
      #expect(pieces.flatMap(\.functions).sorted() == Array(program.functions.indices))
    }
  }

  @Test("NVRTC is here", .enabled(if: NVRTC.absence == nil, "\(NVRTC.absence ?? "")")) func isHere() {}

  private static let seen = Seen()
}

private final class Collected: Sendable {
  let list = Mutex<[LoweredProgram]>([])
}

/// Kernels that are equal up to names are compiled once in all cases.
private final class Seen: Sendable {
  private let kernels = Mutex<Set<Kernel>>([])

  func isNew(_ kernel: Kernel) -> Bool {
    var kernel = kernel.canonicalized()
    kernel.name = ""
    for number in kernel.buffers.indices { kernel.buffers[number].name = "" }
    return kernels.withLock { $0.insert(kernel).inserted }
  }
}
