import Foundation
import IR

/// A folder that vanishes with its owner.
final class Scratch {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("millrace-\(UUID().uuidString)").path
  init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func path(_ name: String) -> String { folder + "/" + name }
  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
    return path(name)
  }
}

/// What is said when `body` fails.
func complaint(_ body: () throws -> Void) -> String {
  do {
    try body()
    return "no error"
  } catch { return (error as? Diagnostic)?.message ?? "\(error)" }
}
