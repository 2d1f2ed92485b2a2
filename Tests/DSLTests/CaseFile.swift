import Foundation
import IR
import Runtime

/// A golden case: a configuration, tensors before the run, and what must come out within a tolerance.
struct CaseFile: CustomStringConvertible {
  let name: String
  let configuration: JSON
  let tensors: [String: Literal]
  private let tolerance: JSON
  let optional: Set<String>

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Cases")

  /// The names of all cases whose name starts in one of these ways.
  static func names(_ prefixes: String...) -> [String] {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    let names = files.filter { $0.hasSuffix(".safetensors") }.map { String($0.dropLast(".safetensors".count)) }
    return names.filter { name in prefixes.contains { name.hasPrefix($0) } }.sorted()
  }

  init(_ name: String) throws {
    let file = try TensorFile(CaseFile.folder.appending(path: name + ".safetensors").path)
    var tensors: [String: Literal] = [:]
    for entry in file.entries { tensors[entry.name] = try file.literal(entry.name) }
    func json(_ key: String) throws -> JSON { try JSON(parsing: file.metadata[key] ?? "null", file: "\(name).\(key)") }
    self.name = name
    self.tensors = tensors
    configuration = try json("config")
    tolerance = try json("tolerance")
    let listed = try json("optional")
    optional = Set(listed.isNull ? [] : try listed.array().map { json throws(Diagnostic) in try json.string() })
  }

  var description: String { name }

  /// The tensors whose names start with a prefix, under the rest of their names.
  func tensors(under prefix: String) -> [String: Literal] {
    var found: [String: Literal] = [:]
    for (name, tensor) in tensors where name.hasPrefix(prefix) { found[String(name.dropFirst(prefix.count))] = tensor }
    return found
  }

  /// What is wrong with a result, or `nil`.
  func complaint(about name: String, _ found: Literal) -> String? {
    guard let want = tensors[name] else { return "\(name) is not in the case" }
    guard found.type.count == want.type.count, found.type.shape == want.type.shape || want.type.count == 1 else {
      return "\(name) is \(found.type), not \(want.type)"
    }
    guard want.type.dtype.isFloat else { return found.integers == want.integers ? nil : "\(name) differs" }
    let largest = want.doubles.map(abs).max() ?? 0
    let allowed = rule("absolute", name) + rule("relative", name) * largest
    let error = zip(found.doubles, want.doubles).map { abs($0 - $1) }.max() ?? 0
    return error <= allowed ? nil : "\(name) is off by \(error), allowed are \(allowed)"
  }

  private func rule(_ kind: String, _ name: String) -> Double {
    let number = tolerance[name]?[kind] ?? tolerance["default"]?[kind]
    return (try? number?.double()) ?? 0
  }
}
