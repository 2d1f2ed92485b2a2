import IR

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// What the system said about the last call that failed.
func systemError() -> String { String(cString: strerror(errno)) }

/// A file opened for reading; closed when its owner ends.
struct OpenFile: ~Copyable {
  let path: String
  let descriptor: Int32
  /// Bytes, as they were when it was opened.
  let size: Int

  init(reading path: String) throws(Diagnostic) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Diagnostic("\(path): cannot be opened: \(systemError())") }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let reason = systemError()
      close(descriptor)
      throw Diagnostic("\(path): cannot be examined: \(reason)")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw Diagnostic("\(path): is no regular file")
    }
    self.path = path
    self.descriptor = descriptor
    size = Int(status.st_size)
  }

  deinit { close(descriptor) }

  /// Fills `memory` from `offset` on.
  borrowing func read(_ memory: UnsafeMutableRawBufferPointer, at offset: Int) throws(Diagnostic) {
    var done = 0
    while done < memory.count {
      let got = pread(descriptor, memory.baseAddress! + done, memory.count - done, off_t(offset + done))
      if got < 0 && errno == EINTR { continue }
      guard got >= 0 else { throw Diagnostic("\(path): cannot be read: \(systemError())") }
      guard got > 0 else {
        throw Diagnostic("\(path): wants \(memory.count) bytes at \(offset), got \(done): the file became shorter")
      }
      done += got
    }
  }

  borrowing func bytes(_ count: Int, at offset: Int) throws(Diagnostic) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var failure: Diagnostic?
    bytes.withUnsafeMutableBytes { memory in
      do throws(Diagnostic) { try read(memory, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }
}

/// The bytes of a whole file that has at most `limit`.
public func readFile(_ path: String, limit: Int) throws(Diagnostic) -> [UInt8] {
  let file = try OpenFile(reading: path)
  guard file.size <= limit else { throw Diagnostic("\(path): wants at most \(limit) bytes, got \(file.size)") }
  return try file.bytes(file.size, at: 0)
}

/// Bytes of memory this machine has.
func physicalMemory() -> Int { sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }

/// Whether this process may read a file.
public func canRead(_ path: String) -> Bool { access(path, R_OK) == 0 }
