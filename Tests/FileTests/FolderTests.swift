import Foundation
import Passes
import Rewriting
import Testing

/// The folders of `passes/` and the list in `Pipelines.swift` say the same.
@Suite("pass folders") struct FolderTests {
  static let folder = TestFile.root.appendingPathComponent("passes")

  /// What is no pass of its own: it works on a lowered program for a backend.
  static let others: Set<String> = ["plan-memory", "map-to-threads", "expand-math"]

  static let folders: [String] = {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return entries.filter { !$0.hasSuffix(".swift") && !$0.hasPrefix(".") }.sorted()
  }()

  @Test("every pass has a folder of its name, and every folder a pass")
  func names() {
    #expect(Set(Pipelines.known.map(\.name)).union(Self.others) == Set(Self.folders))
    #expect(Set(Pipelines.known.map(\.name)).count == Pipelines.known.count, "no pass is listed twice")
  }

  @Test("every pass says why in a README and shows what it does in tests", arguments: folders)
  func contents(name: String) throws {
    let folder = Self.folder.appendingPathComponent(name)
    let readme = try String(contentsOf: folder.appendingPathComponent("README.md"), encoding: .utf8)
    #expect(readme.hasPrefix("# \(name)\n"))
    let swiftName = name.split(separator: "-").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    let sources = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    if Self.others.contains(name) { return }
    #expect(sources.contains(swiftName + ".swift"), "the pass's own file has its name")
    let tests = (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("tests").path)) ?? []
    #expect(tests.contains { $0.hasSuffix(".ir") && !$0.hasPrefix("unchanged-") })
    let isOptional = Pipelines.known.contains { $0.name == name && !$0.isRequired }
    if isOptional { #expect(tests.contains { $0.hasPrefix("unchanged-") }, "some program must stay as it is") }
  }
}
