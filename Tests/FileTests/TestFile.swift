import Foundation
import IR

/// A program with, in its comments, what is to be done with it.
///
///     // test: pass simplify,fuse-rows
///     // test: round-trip
///     // run: @f([1, 2]) == [3, 4]
///     func @f … the program …
///
///     // after: folded 2; moves 2.11 MB -> 0.15 MB
///     func @f … what must come out …
struct TestFile: Sendable, CustomStringConvertible {
  enum Command: Hashable, Sendable {
    case roundTrip, verify, run, emitCUDA, map, expand, plan
    case pass(String)
  }

  /// Relative to the package.
  let path: String
  let commands: [Command]
  /// The text after each `// run: `.
  let runs: [String]
  /// All before `// after:`, comments too, so that locations are those of the file.
  let program: String
  /// What stands behind `// after: ` and on all lines below.
  let expectation: Expectation?

  struct Expectation: Hashable, Sendable {
    let summary: String
    let text: String
  }

  var description: String { path }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Every `.ir` file beside the passes and among the examples; wrong programs have a suite of their own.
  static let paths: [String] = ["ir-examples", "passes"].flatMap { folder -> [String] in
    let all = FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path)
    let names = all?.compactMap { $0 as? String } ?? []
    return names.filter { $0.hasSuffix(".ir") && !$0.hasPrefix("errors/") }.map { folder + "/" + $0 }
  }.sorted()

  init(path: String) throws {
    try self.init(path: path, text: String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8))
  }

  init(path: String, text: String) throws {
    self.path = path
    let marker = "\n// after:"
    let cut = text.range(of: marker)
    let program = String(text[..<(cut?.lowerBound ?? text.endIndex)])
    self.program = program
    expectation = cut.map {
      let rest = text[$0.upperBound...]
      let end = rest.firstIndex(of: "\n") ?? rest.endIndex
      let summary = rest[..<end].trimmingCharacters(in: .whitespaces)
      return Expectation(summary: summary, text: String(rest[end...].dropFirst()))
    }
    func lines(_ start: String) -> [String] {
      program.split(separator: "\n").filter { $0.hasPrefix(start) }.map { String($0.dropFirst(start.count)) }
    }
    commands = try lines("// test: ").map { try Self.command($0, path) }
    runs = lines("// run: ")
    guard !commands.isEmpty else { throw Diagnostic("\(path) has no line '// test: …'") }
  }

  private static func command(_ text: String, _ path: String) throws -> Command {
    let words = text.split(separator: " ", maxSplits: 1).map(String.init)
    switch (words[0], words.count) {
    case ("round-trip", 1): return .roundTrip
    case ("verify", 1): return .verify
    case ("run", 1): return .run
    case ("pass", 2): return .pass(words[1])
    case ("map", 1): return .map
    case ("expand", 1): return .expand
    case ("plan", 1): return .plan
    case ("emit", 2) where words[1] == "cuda": return .emitCUDA
    default: throw Diagnostic("'\(text)' is no test", at: Location(file: path, line: 1, column: 1))
    }
  }

  /// Whether expectations are rewritten instead of compared.
  static let blesses = ProcessInfo.processInfo.environment["BLESS"] == "1"

  /// Puts a new expectation into the file.
  func bless(_ new: Expectation) throws {
    guard new != expectation else { return }
    let text = program.trimmingCharacters(in: .newlines) + "\n\n// after: \(new.summary)\n\(new.text)"
    try text.write(to: Self.root.appendingPathComponent(path), atomically: true, encoding: .utf8)
  }
}
