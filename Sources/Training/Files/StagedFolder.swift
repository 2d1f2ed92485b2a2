import Foundation
import IR

/// A folder that appears whole or not at all: filled beside its place, then moved there.
///
///     let folder = try StagedFolder("run/step-00000100")
///     try AtomicFile.write(text, to: folder.path(of: "config.json"))
///     try folder.commit()
///
/// If it is not committed, nothing is left. Files are to be flushed by who writes them, as `AtomicFile` does.
struct StagedFolder: ~Copyable {
  let path: String
  private let staging: String

  /// The ending of folders that are not yet, or no more, in their place.
  static let suffix = ".tmp"

  init(_ path: String) throws(Diagnostic) {
    staging = try Self.prepared(for: path)
    self.path = path
  }

  /// Makes the folder that is filled, beside the place.
  private static func prepared(for path: String) throws(Diagnostic) -> String {
    let (folder, name) = split(path)
    guard !name.isEmpty else { throw Diagnostic("\(path): cannot be written: is no folder name") }
    try makeFolder(folder)
    let staging = "\(folder)/.\(name).\(ProcessInfo.processInfo.processIdentifier)\(suffix)"
    // Only a process of this number can have left it, and that one is gone.
    removeFolder(staging)
    guard mkdir(staging, 0o777) == 0 else { throw Diagnostic("\(path): cannot be written: \(systemError())") }
    return staging
  }

  deinit { removeFolder(staging) }

  func path(of file: String) -> String { "\(staging)/\(file)" }

  /// Puts the folder in its place; with `replacing`, instead of the one that is there.
  ///
  /// Replacing takes two renames: who is killed between them finds the old folder and the new one beside the place, both
  /// whole, under names that begin with a dot.
  consuming func commit(replacing: Bool = false) throws(Diagnostic) {
    let (folder, name) = split(path)
    let old = "\(folder)/.\(name).old\(Self.suffix)"
    if replacing, exists(path) {
      removeFolder(old)
      guard rename(path, old) == 0 else { throw Diagnostic("\(path): cannot be replaced: \(systemError())") }
    }
    guard rename(staging, path) == 0 else {
      let reason = systemError()
      if replacing { rename(old, path) }
      throw Diagnostic("\(path): cannot be written: \(reason)")
    }
    flush(folder)
    if replacing { removeFolder(old) }
  }
}

/// What the system said about the last call that failed.
private func systemError() -> String { String(cString: strerror(errno)) }

/// The folder a path is in, and its name there.
private func split(_ path: String) -> (folder: String, name: String) {
  let trimmed = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
  guard let slash = trimmed.lastIndex(of: "/") else { return (".", trimmed) }
  let folder = trimmed[..<slash]
  return (folder.isEmpty ? "/" : String(folder), String(trimmed[trimmed.index(after: slash)...]))
}

func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

/// Makes a folder with those it is in, unless it is there.
package func makeFolder(_ path: String) throws(Diagnostic) {
  var isFolder: ObjCBool = false
  if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) {
    guard isFolder.boolValue else { throw Diagnostic("\(path): is no folder") }
    return
  }
  let (folder, name) = split(path)
  guard !name.isEmpty else { throw Diagnostic("'\(path)' is no folder name") }
  try makeFolder(folder)
  guard mkdir(path, 0o777) == 0 || errno == EEXIST else {
    throw Diagnostic("\(path): cannot be made: \(systemError())")
  }
}

/// Removes a folder with all that is in it, if it is there and can be.
func removeFolder(_ path: String) {
  if exists(path) { try? FileManager.default.removeItem(atPath: path) }
}

/// Makes the names in a folder durable, on file systems that can.
private func flush(_ folder: String) {
  let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  fsync(descriptor)
  close(descriptor)
}
