import CRuntime
import IR

/// One area of zeroed memory that holds everything a program keeps, on huge pages where the system has them.
public final class Arena: @unchecked Sendable {
  /// Bytes asked for.
  public let size: Int
  /// Aligned to 64 bytes.
  public let base: UnsafeMutableRawPointer

  public init(size: Int) throws(Violation) {
    guard size >= 0, let base = millrace_map(size) else { throw "no memory for an arena of \(size) bytes" as Violation }
    self.size = size
    self.base = base
  }

  /// Bytes that something has touched, so that the system holds memory for them; `nil` where it does not tell.
  public var residentBytes: Int? {
    let bytes = millrace_resident_bytes(base, size)
    return bytes < 0 ? nil : Int(bytes)
  }

  deinit { millrace_unmap(base, size) }
}
