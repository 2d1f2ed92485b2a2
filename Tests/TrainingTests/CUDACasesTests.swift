import CUDABackend
import Compiler
import IR
import Runtime
import TestSupport
import Testing

@testable import Training

/// The golden cases as a GPU would answer them.
@Suite("golden cases as CUDA") struct CUDACasesTests {
  @Test("emulated, every case passes", arguments: GoldenCases.names(""))
  func emulated(name: String) throws {
    let file = try GoldenCases.file(name)
    let verdict = try file.compare(CaseRunner(.emulatedCUDA).run(file))
    #expect(verdict.passed, "\(verdict.text())")
  }

  @Test(
    "NVRTC compiles every kernel of every case", .enabled(if: NVRTC.absence == nil, "\(NVRTC.absence ?? "")"),
    arguments: GoldenCases.names(""))
  func compiles(name: String) throws {
    for function in try CaseRunner(.cuda).functions(of: GoldenCases.file(name)) {
      let program = try lower(Module(functions: [function]), entry: function.name).cuda()
      for architecture in NVRTC.Architecture.allCases {
        let pieces = try CUDACompiler(for: architecture, threads: 1).compile(program)
        #expect(pieces.flatMap(\.kernels).count == program.kernels.count)
      }
    }
  }
}
