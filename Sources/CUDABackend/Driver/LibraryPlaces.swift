import Foundation

/// Where NVIDIA's libraries may be found: what the user names, what the loader knows, the Python wheels in a virtual
/// environment, the toolkit's usual place.
enum LibraryPlaces {
  /// Files and names in the order in which they are tried.
  /// - Parameters:
  ///   - names: what the loader is asked for.
  ///   - variable: the environment variable by which the user names the file or its folder.
  ///   - prefix: how the files are called.
  static func candidates(_ names: [String], given variable: String, prefix: String) -> [String] {
    let environment = ProcessInfo.processInfo.environment
    if let given = environment[variable], !given.isEmpty { return [given] + files(in: given, prefix) }
    var found = names
    var roots = [URL(fileURLWithPath: #filePath), URL(fileURLWithPath: FileManager.default.currentDirectoryPath + "/x")]
      .flatMap(parents).map { $0 + "/.venv" }
    if let active = environment["VIRTUAL_ENV"] { roots.insert(active, at: 0) }
    for root in roots {
      for python in entries(of: root + "/lib") where python.hasPrefix("python") {
        let packages = "\(root)/lib/\(python)/site-packages/nvidia"
        for package in entries(of: packages) { found += files(in: "\(packages)/\(package)/lib", prefix) }
      }
    }
    let toolkit = environment["CUDA_HOME"] ?? "/usr/local/cuda"
    return found + files(in: toolkit + "/lib64", prefix)
  }

  /// The libraries in a folder, the newest first.
  private static func files(in folder: String, _ prefix: String) -> [String] {
    entries(of: folder).filter { $0.hasPrefix(prefix) }.sorted(by: >).map { "\(folder)/\($0)" }
  }

  private static func entries(of folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
  }

  private static func parents(of file: URL) -> [String] {
    var folder = file.deletingLastPathComponent()
    var result: [String] = []
    while folder.path != "/" {
      result.append(folder.path)
      folder = folder.deletingLastPathComponent()
    }
    return result
  }
}
