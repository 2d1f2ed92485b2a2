import Compiler
import Runtime
import TestSupport
import Testing

@testable import Training

/// The models against the answers of an independent implementation: outputs, gradients, losses over steps, generation.
@Suite("golden cases") struct GoldenTests {
  @Test("every case passes", arguments: GoldenCases.names(""), targets)
  func passes(name: String, target: CompileTarget) throws {
    let file = try GoldenCases.file(name)
    let verdict = try file.compare(CaseRunner(target).run(file))
    #expect(verdict.passed, "\(verdict.text())")
  }

  /// Every device that is here.
  static let targets = TinyModel.targets + (CompileTarget.cuda.isAvailable ? [.cuda] : [])

  @Test("there are cases")
  func exist() { #expect(GoldenCases.names("").count > 20) }
}
