import IR

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// A file that appears whole or not at all: written beside its place, flushed to the disk, then moved there.
///
///     var file = try AtomicFile(path)
///     try file.write("text\n")
///     try file.commit()
///
/// If it is not committed, nothing is left. What is no regular file (`/dev/stdout`) is written to directly.
public struct AtomicFile: ~Copyable {
  public let path: String
  /// Where the bytes go until they are committed; `nil` if they go to `path` itself.
  private let temporary: String?
  private let target: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var written = 0

  private static let bufferSize = 1 << 16

  public init(_ path: String) throws(Diagnostic) {
    let place = try Place(path)
    self.path = path
    (temporary, target, descriptor) = (place.temporary, place.target, place.descriptor)
  }

  /// Where to write, opened.
  private struct Place {
    var temporary: String?
    let target: String
    let descriptor: Int32

    init(_ path: String) throws(Diagnostic) {
      var status = stat()
      if stat(path, &status) == 0 {
        guard status.st_mode & S_IFMT != S_IFDIR else { throw Diagnostic("\(path): cannot be written: is a directory") }
        if status.st_mode & S_IFMT != S_IFREG {
          target = path
          descriptor = open(path, O_WRONLY | O_CLOEXEC)
          guard descriptor >= 0 else { throw Diagnostic("\(path): cannot be written: \(systemError())") }
          return
        }
      }
      // A link stays a link: the file it leads to is replaced.
      var resolved = path
      if let real = realpath(path, nil) {
        resolved = String(cString: real)
        free(real)
      }
      let split = resolved.lastIndex(of: "/").map { resolved.index(after: $0) } ?? resolved.startIndex
      let (folder, name) = (resolved[..<split], resolved[split...])
      guard !name.isEmpty else { throw Diagnostic("\(path): cannot be written: is no file name") }
      var opened: Int32 = -1
      for attempt in 0..<1000 where opened < 0 {
        let beside = "\(folder).\(name.prefix(100)).\(getpid())-\(attempt).tmp"
        opened = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        temporary = beside
        if opened < 0 && errno != EEXIST { break }
      }
      guard opened >= 0 else { throw Diagnostic("\(path): cannot be written: \(systemError())") }
      (target, descriptor) = (resolved, opened)
    }
  }

  deinit {
    close(descriptor)
    if let temporary { unlink(temporary) }
  }

  public mutating func write(_ text: String) throws(Diagnostic) {
    try write(Array(text.utf8))
  }

  public mutating func write(_ bytes: [UInt8]) throws(Diagnostic) {
    try bytes.withUnsafeBufferPointer { bytes throws(Diagnostic) in try write(UnsafeRawBufferPointer(bytes)) }
  }

  public mutating func write(_ bytes: UnsafeRawBufferPointer) throws(Diagnostic) {
    if buffer.count + bytes.count <= Self.bufferSize {
      buffer += bytes
    } else {
      try flush()
      try put(bytes)
    }
  }

  private mutating func flush() throws(Diagnostic) {
    let bytes = buffer
    buffer = []
    try bytes.withUnsafeBufferPointer { bytes throws(Diagnostic) in try put(UnsafeRawBufferPointer(bytes)) }
  }

  private mutating func put(_ bytes: UnsafeRawBufferPointer) throws(Diagnostic) {
    guard let start = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      // Linux takes a little less than 2 GiB at a time.
      #if canImport(Glibc)
        let count = Glibc.write(descriptor, start + done, min(bytes.count - done, 1 << 30))
      #elseif canImport(Musl)
        let count = Musl.write(descriptor, start + done, min(bytes.count - done, 1 << 30))
      #else
        let count = Darwin.write(descriptor, start + done, min(bytes.count - done, 1 << 30))
      #endif
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        throw Diagnostic("\(path): cannot be written after \(written) bytes: \(systemError())")
      }
      done += count
      written += count
    }
  }

  /// Puts the file in its place; when this returns it is on the disk.
  ///
  /// - Parameter waitsForDisk: `false` for what can be made again: after a power failure it may be lost, or damaged.
  public consuming func commit(waitingForDisk waitsForDisk: Bool = true) throws(Diagnostic) {
    try flush()
    guard let temporary else { return }
    guard !waitsForDisk || fsync(descriptor) == 0 else { throw Diagnostic("\(path): cannot be written: \(systemError())") }
    guard rename(temporary, target) == 0 else { throw Diagnostic("\(path): cannot be replaced: \(systemError())") }
    guard waitsForDisk else { return }
    let folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? "."
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if directory >= 0 {
      // The name is durable only with its directory; a file system that cannot do this has done all it can.
      fsync(directory)
      close(directory)
    }
  }

  /// Writes a whole file.
  public static func write(_ text: String, to path: String) throws(Diagnostic) {
    var file = try AtomicFile(path)
    try file.write(text)
    try file.commit()
  }
}
