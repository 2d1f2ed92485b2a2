import IR

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file's bytes, mapped: read from the disk where they are touched, and let go when memory is short.
///
/// The file must keep its size for as long as it is mapped.
public final class MappedFile: Sendable {
  public let path: String
  public let count: Int
  // Set once and only read: the mapping can be shared by threads.
  private nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

  public init(_ path: String) throws(Diagnostic) {
    let file = try OpenFile(reading: path)
    self.path = path
    count = file.size
    guard count > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let mapping = mmap(nil, count, PROT_READ, MAP_SHARED, file.descriptor, 0)
    guard let mapping, mapping != MAP_FAILED else { throw Diagnostic("\(path): cannot be mapped: \(systemError())") }
    bytes = UnsafeRawBufferPointer(start: mapping, count: count)
  }

  deinit {
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), count) }
  }

  /// Lends the bytes for reading.
  public func withBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let result = try body(bytes)
    withExtendedLifetime(self) {}
    return result
  }
}
