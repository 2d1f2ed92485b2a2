import CUDABackend
import Foundation
import IR
import Passes
import Testing

extension Trait where Self == ConditionTrait {
  /// Skips, aloud, where NVRTC is not installed.
  static var needsNVRTC: Self {
    .enabled(if: NVRTC.absence == nil, "\(NVRTC.absence ?? "")")
  }
}

@Suite("NVRTC") struct NVRTCTests {
  /// Each set of samples, in all spreads, is one text, as a program's kernels are.
  static let sets: [(String, [Sample])] = [
    ("rows", Sample.rows), ("scalars", Sample.scalars), ("products", Sample.products), ("far", [far]),
  ]

  /// Positions past 32 bits, which no test has the memory to run.
  static let far: Sample = {
    let (i, j) = (LoopVariable(0, below: 1 << 22), LoopVariable(1, below: 4096))
    let at = Position(i) * 4096 + Position(j)
    return Sample(
      "far", [input(1 << 34), output(1 << 34)],
      [parallel(i, [vector(j, [store(1, at, load(0, (at / 3) + (Position(j) * 5 + -7) / 4))])])], inputs: [])
  }()

  @Test("emitted text compiles for every kind of GPU", .needsNVRTC, arguments: sets.indices, NVRTC.Architecture.allCases)
  func compiles(set: Int, architecture: NVRTC.Architecture) throws {
    var kernels: [(kernel: Kernel, mapping: ThreadMapping)] = []
    for sample in NVRTCTests.sets[set].1 {
      // NVRTC takes its time; the other spreads write the same forms.
      for spread in architecture == .sm80 && set == 0 ? [Spread.usual, .scratch, .ahead] : [.usual] {
        var limits = spread.limits
        limits.hasWarpgroups = architecture == .sm90
        kernels.append((sample.kernel, try mapToThreads(sample.kernel, within: limits)))
      }
    }
    let code = try NVRTC.load().compile(CUDAProgram(kernels).text, for: architecture)
    #expect(code.starts(with: [0x7f] + Array("ELF".utf8)))
  }

  @Test("what does not compile is told with NVRTC's own words", .needsNVRTC)
  func reportsErrors() throws {
    do throws(Diagnostic) {
      _ = try NVRTC.load().compile("extern \"C\" __global__ void k() { nonsense(); }", for: .sm80)
      Issue.record("compiled")
    } catch {
      #expect(error.message.hasPrefix("NVRTC does not compile the emitted text for sm_80:\nemitted.cu(1): error: "))
      #expect(error.message.contains("nonsense"))
    }
  }

  @Test("the library tells its version", .needsNVRTC)
  func version() throws { #expect(try NVRTC.load().version.major >= 11) }
}
