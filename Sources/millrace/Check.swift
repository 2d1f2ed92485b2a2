import ArgumentParser
import Compiler
import Foundation
import IR
import Runtime
import Training

/// `millrace check`: answers golden cases and compares.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Answer golden cases and compare with what they expect.",
    discussion: "Prints a row a case and ends with 'N passed, N failed'; the exit code is 0 only if all pass.")

  @Argument(help: "Case files, or folders of them.")
  var cases: [String]
  @Option(help: ArgumentHelp("Write every result to this folder.", valueName: "folder"))
  var results: String?
  @Option(help: ArgumentHelp("Only cases whose name begins with one of these, separated by commas.", valueName: "names"))
  var only: String?
  @Flag(help: "Print every tensor, not only those that fail.")
  var verbose = false
  @OptionGroup var machine: MachineOptions

  func run() throws {
    try machine.backend.checkAvailable()
    let runner = CaseRunner(machine.backend, options: machine.compileOptions)
    if let results { try makeFolder(results) }
    let prefixes = only?.split(separator: ",").map(String.init) ?? [""]
    var (passed, failed) = (0, 0)
    for path in try files() {
      let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
      guard prefixes.contains(where: { name.hasPrefix($0) }) else { continue }
      switch Result(catching: { () throws(Diagnostic) in try answer(path, runner) }) {
      case .success(let verdict):
        print(verdict.text(everyTensor: verbose))
        if verdict.passed { passed += 1 } else { failed += 1 }
      case .failure(let diagnostic):
        print("FAIL \(name): \(diagnostic)")
        failed += 1
      }
    }
    print("\(passed) passed, \(failed) failed")
    if failed > 0 || passed == 0 { throw ExitCode(1) }
  }

  private func answer(_ path: String, _ runner: CaseRunner) throws(Diagnostic) -> CaseVerdict {
    let file = try CaseFile(path)
    let found = try runner.run(file)
    if let results { try file.write(found, intoFolder: results) }
    return try file.compare(found)
  }

  private func files() throws -> [String] {
    var files: [String] = []
    for path in cases {
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw Diagnostic("there is no file or folder '\(path)'")
      }
      guard isFolder.boolValue else {
        files.append(path)
        continue
      }
      let names = try FileManager.default.contentsOfDirectory(atPath: path)
      files += names.filter { $0.hasSuffix(".safetensors") }.sorted().map { path + "/" + $0 }
    }
    return files
  }
}

extension CompileTarget: ExpressibleByArgument {}
