import Foundation
import Testing

/// A command of this package, run as a user runs it.
struct Command {
  var status: Int32
  var output: String
  var errors: String

  /// Where this build's executables are: beside the tests.
  static let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path

  /// Runs `millrace` with arguments.
  /// - Parameters:
  ///   - prefix: shell commands before it (`ulimit`).
  ///   - termination: seconds after which it gets SIGTERM, once a file is there.
  @discardableResult
  static func millrace(
    _ arguments: [String], prefix: String = "", terminatedWhenThereIs file: String? = nil
  ) throws -> Command {
    try run("millrace", arguments, prefix: prefix, terminatedWhenThereIs: file)
  }

  /// Runs `ir-dump` in a folder.
  static func irDump(_ arguments: [String], in folder: String? = nil) throws -> Command {
    try run("ir-dump", arguments, prefix: folder.map { "cd '\($0)' &&" } ?? "")
  }

  /// Runs a program of `place`, this build's folder if none is given.
  static func run(
    _ name: String, _ arguments: [String], in place: String = folder, prefix: String = "",
    terminatedWhenThereIs file: String? = nil
  ) throws -> Command {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "\(prefix) exec \"$0\" \"$@\"", place + "/" + name] + arguments
    let scratch = try Scratch()
    let (output, errors) = (scratch.path("output"), scratch.path("errors"))
    for path in [output, errors] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors))
    try process.run()
    if let file {
      while process.isRunning, (try? Data(contentsOf: URL(fileURLWithPath: file)))?.isEmpty ?? true { usleep(20_000) }
      process.terminate()
    }
    process.waitUntilExit()
    return Command(
      status: process.terminationStatus, output: text(output), errors: text(errors))
  }

  private static func text(_ path: String) -> String {
    String(decoding: (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data(), as: UTF8.self)
  }
}

/// A folder that vanishes with its owner.
final class Scratch {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("millrace-\(UUID().uuidString)").path
  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func path(_ name: String) -> String { folder + "/" + name }
  func file(_ name: String, _ text: String) throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
    return path(name)
  }
}
