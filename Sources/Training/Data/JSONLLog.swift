import Foundation
import IR
import Runtime

/// A log of one JSON object a line, each with a `step`; every line is with the system when `append` returns.
///
///     {"step": 10, "loss": 4.2, "seconds": 1.8}
public final class JSONLLog {
  public let path: String
  private let file: FileHandle

  /// Starts a log; or goes on with the one there is: with `resumingAt`, lines of later steps and a last line that was
  /// cut short are removed.
  public init(_ path: String, resumingAt step: Int? = nil) throws(Diagnostic) {
    self.path = path
    var kept = 0
    if let step, FileManager.default.fileExists(atPath: path) {
      kept = try Self.prefix(of: path, through: step)
    } else if !FileManager.default.createFile(atPath: path, contents: nil) {
      throw Diagnostic("\(path): cannot be written: \(String(cString: strerror(errno)))")
    }
    do {
      file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
      try file.truncate(atOffset: UInt64(kept))
      try file.seekToEnd()
    } catch {
      throw Diagnostic("\(path): cannot be written: \(error.localizedDescription)")
    }
  }

  deinit { try? file.close() }

  public func append(_ line: JSON) throws(Diagnostic) {
    do {
      try file.write(contentsOf: Data((line.text() + "\n").utf8))
    } catch {
      throw Diagnostic("\(path): cannot be written: \(error.localizedDescription)")
    }
  }

  /// The lines of a log; a last line that was cut short is left out.
  public static func read(_ path: String) throws(Diagnostic) -> [JSON] {
    var lines: [JSON] = []
    try forEachLine(of: path) { line, _ in
      lines.append(line)
      return true
    }
    return lines
  }

  /// Bytes of the lines up to a step.
  private static func prefix(of path: String, through step: Int) throws(Diagnostic) -> Int {
    var kept = 0
    try forEachLine(of: path) { line, end throws(Diagnostic) in
      guard try line.required("step").int() <= step else { return false }
      kept = end
      return true
    }
    return kept
  }

  /// Calls `body` with each whole line and where it ends, while it returns true.
  private static func forEachLine(
    of path: String, _ body: (JSON, Int) throws(Diagnostic) -> Bool
  ) throws(Diagnostic) {
    let bytes = try readFile(path, limit: 1 << 31)
    var (start, number) = (0, 1)
    while let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
      let line: JSON
      do throws(Diagnostic) {
        line = try JSON(parsing: bytes[start..<end], file: path)
      } catch {
        var place = error.location
        place.line = number
        throw Diagnostic(error.message, at: place, line: error.line)
      }
      guard try body(line, end + 1) else { return }
      (start, number) = (end + 1, number + 1)
    }
  }
}
