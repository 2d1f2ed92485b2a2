import CRuntime
import Foundation
import IR

/// Compiled code on disk, by the digest of what they were made from.
///
/// Other processes see all of a file or nothing; its header tells what it is, how long and what it adds up to, so that a damaged
/// file is only a missing one. So nobody waits for the disk.
public struct ObjectCache: Sendable {
  private let directory: URL

  /// A cache in `directory`, which is made where it is missing; `nil` where it cannot be.
  public init?(directory path: String) {
    directory = URL(fileURLWithPath: path, isDirectory: true)
    guard (try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)) != nil else { return nil }
  }

  private static let magic = Array("millrace object 1\n".utf8)

  private func file(_ key: String) -> URL { directory.appendingPathComponent(key + ".object") }

  public func object(_ key: String) -> [UInt8]? {
    guard let data = try? Data(contentsOf: file(key)) else { return nil }
    let start = Self.magic.count + 32
    guard data.count > start, data.starts(with: Self.magic) else { return nil }
    let object = Array(data[start...])
    guard Digest.sha256(Array(key.utf8) + object).elementsEqual(data[Self.magic.count..<start]) else { return nil }
    return object
  }

  /// Keeps an object; where the disk is full or read-only it is simply not kept.
  public func keep(_ object: [UInt8], _ key: String) {
    do throws(Diagnostic) {
      var written = try AtomicFile(file(key).path)
      try written.write(Self.magic + Digest.sha256(Array(key.utf8) + object) + object)
      try written.commit(waitingForDisk: false)
    } catch {
      // It will be made again.
    }
  }
}

/// SHA-256.
public enum Digest {
  /// The 32 bytes of the digest.
  public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    millrace_sha256(bytes, bytes.count, &digest)
    return digest
  }

  /// The digest as hexadecimal digits.
  public static func hexadecimal(_ bytes: [UInt8]) -> String {
    sha256(bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
