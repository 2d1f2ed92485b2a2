import Foundation
import IR
import Ops
import Testing

/// The `.ir` files of wrong programs: `// error: text` stands on the line the diagnostic points at.
enum ErrorFiles {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../../ir-examples").standardizedFileURL

  static let names: [String] = {
    let all = FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []
    return all.filter { $0.hasSuffix(".ir") }.sorted()
  }()

  static func text(_ name: String) throws -> String {
    try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
  }

  /// The parts of a file between lines of `// -----`; each keeps its line numbers by blank lines before it.
  static func parts(_ text: String) -> [String] {
    var parts: [String] = []
    var part: [Substring] = []
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      if line == "// -----" {
        parts.append(part.joined(separator: "\n"))
        part = part.map { _ in "" } + [""]
      } else {
        part.append(line)
      }
    }
    return parts + [part.joined(separator: "\n")]
  }
}

let ops = OpTable(OpSet.all)

@Suite("files of errors") struct ErrorFileTests {
  @Test("each part fails where and as it says", arguments: ErrorFiles.names.filter { $0.hasPrefix("errors/") })
  func file(name: String) throws {
    for part in ErrorFiles.parts(try ErrorFiles.text(name)) {
      let lines = part.split(separator: "\n", omittingEmptySubsequences: false)
      let marked = lines.enumerated().filter { $0.element.contains("// error: ") }
      try #require(marked.count == 1, "a part has one error:\n\(part)")
      let wanted = String(marked[0].element.components(separatedBy: "// error: ")[1])
      do throws(Diagnostic) {
        try ParsedModule(parsing: part, file: name, ops: ops).verify()
        Issue.record("\(name):\(marked[0].offset + 1): no error, wanted: \(wanted)")
      } catch {
        #expect(error.location.line == marked[0].offset + 1, "\(error)")
        #expect(error.message.hasPrefix(wanted), "\(error)")
        #expect(error.line == String(marked[0].element))
      }
    }
  }

  @Test("a diagnostic shows the line and a caret")
  func caret() {
    let text = "func @f(%x: f32[4]) -> f32[4] {\n\t%0 = exp %y : f32[4]\n  return %0\n}\n"
    let error = #expect(throws: Diagnostic.self) { try Module(parsing: text, file: "m.ir", ops: ops) }
    #expect(
      error?.description == "m.ir:2:11: error: '%y' is not defined before here\n %0 = exp %y : f32[4]\n          ^")
  }

  @Test("an error in a kernel that was never text shows the statement")
  func statement() {
    let i = LoopVariable(7, below: 4)
    let store = Statement.store(BufferID(0), Position(i) + 1, .float(1))
    let buffer = Kernel.Buffer("y", .f32, 4, .output)
    let kernel = Kernel(name: "k", buffers: [buffer], body: [.loop(Loop(i, .parallel, [store]))])
    let error = #expect(throws: Diagnostic.self) { try verify(kernel) }
    #expect(error?.message == "@k: '%y' holds 4 elements, the access runs over 1...4, in 'store %y[i7 + 1], 1.0'")
  }
}
