import Foundation

/// Where NVIDIA's libraries may be found: what the user names, what the loader knows, the Python wheels in a virtual
/// environment, the toolkit's usual place.
///
/// The user names a library, or the folder it stands in, by an environment variable: `CUDA_DRIVER_PATH`, `NVRTC_PATH`,
/// `CUBLASLT_PATH`.
public struct LibraryPlaces: Hashable, Sendable {
  public static let standard = LibraryPlaces()

  private let folder: String?

  /// - Parameter folder: where the libraries stand, if they are looked for nowhere else.
  public init(folder: String? = nil) { self.folder = folder }

  /// The first library that loads.
  /// - Parameters:
  ///   - names: what the loader is asked for.
  ///   - variable: the environment variable by which the user names the file or its folder.
  ///   - prefix: how the files are called.
  func load(_ names: [String], given variable: String, prefix: String) -> DynamicLibrary? {
    DynamicLibrary(folder.map { files(in: $0, prefix) } ?? candidates(names, given: variable, prefix: prefix))
  }

  /// Files and names in the order in which they are tried.
  private func candidates(_ names: [String], given variable: String, prefix: String) -> [String] {
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
  private func files(in folder: String, _ prefix: String) -> [String] {
    entries(of: folder).filter { $0.hasPrefix(prefix) }.sorted(by: >).map { "\(folder)/\($0)" }
  }

  private func entries(of folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
  }

  private func parents(of file: URL) -> [String] {
    var folder = file.deletingLastPathComponent()
    var result: [String] = []
    while folder.path != "/" {
      result.append(folder.path)
      folder = folder.deletingLastPathComponent()
    }
    return result
  }
}
