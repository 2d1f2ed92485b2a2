import Compiler
import DSL
import Foundation
import IR
import Runtime
import Testing

/// A transformer block on four residual streams, as the paper writes it.
private struct Block: Model {
  let width: Int

  var body: some Layer {
    HyperConnected(streams: 4) {
      RMSNorm(width)
      Attention(width, heads: 8)
    }
    HyperConnected(streams: 4) {
      RMSNorm(width)
      SwiGLU(width, hidden: 4 * width)
    }
  }
}

@Suite("the README") struct ReadmeTests {
  static let package = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  static func text(_ name: String) throws -> String {
    try String(contentsOf: package.appendingPathComponent(name), encoding: .utf8)
  }

  @Test("its model computes the same on every device")
  func model() throws {
    let trace = Trace(name: "forward")
    let streams = trace.input("streams", .f32(2, 16, 4, 64))
    let function = try trace.finish([("streams", Block(width: 64)(streams))])
    var inputs = ["streams": try HostTensor.random(.f32(2, 16, 4, 64), seed: 1)]
    for parameter in trace.parameters {
      guard case .floats(let values) = parameter.initialValues(seed: 1) else { continue }
      inputs["param/" + parameter.name] = try HostTensor(parameter.type, doubles: values.map(Double.init))
    }
    var found: [[Double]] = []
    for target in CompileTarget.allCases where target.isAvailable {
      let program = try compile(Module(functions: [function]), entry: "forward", for: target)
      found.append(try #require(try program.run(inputs)["streams"]).doubles)
    }
    for other in found {
      let error = zip(other, found[0]).map { abs($0 - $1) }.max() ?? .infinity
      #expect(error < 1e-4)
    }
  }

  @Test("every line of its model stands in this file")
  func quotesThisFile() throws {
    let lines = Set(try String(contentsOfFile: #filePath, encoding: .utf8).split(separator: "\n").map(Self.trimmed))
    let quoted = try Self.text("README.md").components(separatedBy: "```swift\n").dropFirst()
    let code = try #require(quoted.first?.components(separatedBy: "```").first)
    for line in code.split(separator: "\n").map(Self.trimmed) where !line.isEmpty && !line.hasPrefix("//") {
      let known = lines.contains(line) || lines.contains("private " + line)
      let sized = line.contains(".f32(") || line.contains("width: 256") || line.contains("for: .cpu")
      #expect(known || sized, "\(line)")
    }
  }

  @Test("every file it names is there", arguments: ["README.md", "docs/ARCHITECTURE.md", "docs/CONTRIBUTING.md"])
  func filesExist(name: String) throws {
    let folder = Self.package.appendingPathComponent(name).deletingLastPathComponent()
    for part in try Self.text(name).components(separatedBy: "](").dropFirst() {
      let target = String(part.prefix { $0 != ")" && $0 != "#" })
      guard !target.isEmpty, !target.hasPrefix("http") else { continue }
      #expect(FileManager.default.fileExists(atPath: folder.appendingPathComponent(target).path), "\(target)")
    }
  }

  private static func trimmed(_ line: Substring) -> String { line.trimmingCharacters(in: .whitespaces) }
}
