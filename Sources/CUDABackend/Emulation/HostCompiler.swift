import Foundation
import IR
import Runtime

/// The C++ compiler of this machine, which makes shared libraries of text and keeps them on disk.
struct HostCompiler {
  private let command: String
  private let cache: String?

  private static let flags = [
    "-std=c++17", "-O1", "-fPIC", "-shared", "-w", "-march=native", "-ffp-contract=off", "-fvisibility=hidden",
  ]

  /// The compiler named by `CXX`, else the first of `c++`, `clang++`, `g++` on the path.
  init(cacheDirectory: String?) throws(Diagnostic) {
    let environment = ProcessInfo.processInfo.environment
    let names = [environment["CXX"] ?? "", "c++", "clang++", "g++"].filter { !$0.isEmpty }
    let folders = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
    let candidates = names.flatMap { name in
      name.contains("/") ? [name] : folders.map { "\($0)/\(name)" }
    }
    guard let command = candidates.first(where: { FileManager.default.isExecutableFile(atPath: $0) }) else {
      throw Diagnostic("emulating CUDA takes a C++ compiler: none of \(names.joined(separator: ", ")) is on the path")
    }
    self.command = command
    cache = cacheDirectory.map { $0 + "/emulated" }
  }

  /// Loads the shared library that `text` makes; compiles it only if it is not on disk yet.
  func library(of text: String) throws(Diagnostic) -> DynamicLibrary {
    guard let cache else {
      // What is loaded needs no file any more.
      let folder = NSTemporaryDirectory() + "/millrace-" + UUID().uuidString
      defer { try? FileManager.default.removeItem(atPath: folder) }
      return try load(build(text, in: folder, named: "emulated.so"))
    }
    let name = key(of: text) + ".so"
    if let found = DynamicLibrary(["\(cache)/\(name)"]) { return found }
    return try load(build(text, in: cache, named: name))
  }

  private func load(_ path: String) throws(Diagnostic) -> DynamicLibrary {
    guard let library = DynamicLibrary([path]) else { throw Diagnostic("cannot load \(path): \(DynamicLibrary.lastError)") }
    return library
  }

  private func build(_ text: String, in folder: String, named name: String) throws(Diagnostic) -> String {
    let path = "\(folder)/\(name)"
    let unfinished = "\(folder)/\(UUID().uuidString)"
    let source = unfinished + ".cpp"
    defer {
      try? FileManager.default.removeItem(atPath: source)
      try? FileManager.default.removeItem(atPath: unfinished)
    }
    do {
      let onlyMine: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: onlyMine)
      try text.write(toFile: source, atomically: false, encoding: .utf8)
    } catch {
      throw Diagnostic("cannot write to \(folder): \(error.localizedDescription)")
    }
    try compile(source, to: unfinished)
    // Another process may have made the same library; a rename replaces it as a whole.
    guard rename(unfinished, path) == 0 else { throw Diagnostic("cannot write \(path)") }
    return path
  }

  private func compile(_ source: String, to result: String) throws(Diagnostic) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: command)
    process.arguments = HostCompiler.flags + ["-o", result, source]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    let log: Data
    do {
      try process.run()
      log = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
    } catch {
      throw Diagnostic("cannot run \(command): \(error.localizedDescription)")
    }
    guard process.terminationStatus == 0 else {
      let lines = String(decoding: log, as: UTF8.self).split(separator: "\n").prefix(12).joined(separator: "\n")
      throw Diagnostic("\(command) does not compile the emitted text:\n\(lines)")
    }
  }

  /// Text, compiler, flags and processor: `-march=native` is another thing elsewhere.
  private func key(of text: String) -> String {
    let processor = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let features = processor.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") } ?? ""
    return Digest.hexadecimal(Array("\(command)\n\(HostCompiler.flags)\n\(features)\n\(text)".utf8))
  }
}
