#if LLVM
import Foundation
import IR

/// Object files on disk, by the digest of what they were made from.
///
/// A file is written under a name of its own and then renamed, so that other processes see all of it or nothing; its header
/// tells what it is, how long and what it adds up to, so that a damaged file is only a missing one.
struct ObjectCache: Sendable {
  let directory: URL

  /// A cache in `directory`, which is made where it is missing; `nil` where it cannot be.
  init?(directory path: String) {
    directory = URL(fileURLWithPath: path, isDirectory: true)
    guard (try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)) != nil else { return nil }
  }

  private static let magic = Array("millrace object 1\n".utf8)

  private func file(_ key: String) -> URL { directory.appendingPathComponent(key + ".object") }

  func object(_ key: String) -> [UInt8]? {
    guard let data = try? Data(contentsOf: file(key)) else { return nil }
    let start = Self.magic.count + 32
    guard data.count > start, data.starts(with: Self.magic) else { return nil }
    let object = Array(data[start...])
    guard Digest.sha256(Array(key.utf8) + object).elementsEqual(data[Self.magic.count..<start]) else { return nil }
    return object
  }

  /// Keeps an object; where the disk is full or read-only it is simply not kept.
  func keep(_ object: [UInt8], _ key: String) {
    let bytes = Self.magic + Digest.sha256(Array(key.utf8) + object) + object
    try? Data(bytes).write(to: file(key), options: .atomic)
  }
}
#endif
