import Foundation
import IR
import Runtime

/// The golden cases in `Tests/Cases`, answered in double precision by an independent implementation.
public enum GoldenCases {
  private static let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Cases")

  /// The names of all cases whose name starts in one of these ways.
  public static func names(_ prefixes: String...) -> [String] {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let names = files.filter { $0.hasSuffix(".safetensors") }.map { String($0.dropLast(".safetensors".count)) }
    return names.filter { name in prefixes.contains { name.hasPrefix($0) } }.sorted()
  }

  public static func file(_ name: String) throws(Diagnostic) -> CaseFile {
    try CaseFile(folder.appending(path: name + ".safetensors").path)
  }
}
