import IR
import Runtime

/// Makes machine code of programs for one kind of GPU, with NVRTC.
///
/// A program is cut into pieces of whole functions, which several threads compile. Code is kept on disk, under a digest of
/// a piece's text, the architecture, and the versions of NVRTC and the driver.
public struct CUDACompiler: Sendable {
  /// Some functions of a program as one module.
  public struct Piece: Sendable {
    /// Their numbers in the program.
    public let functions: [Int]
    public let code: [UInt8]
    /// Whether the code was on disk.
    public let isFromDisk: Bool
    /// What the thread did that made it, or found it.
    public let seconds: Double
  }

  public let architecture: NVRTC.Architecture
  public let effort: NVRTC.Effort
  private let nvrtc: NVRTC
  /// What code depends on besides the text.
  private let versions: String
  private let cache: ObjectCache?
  private let threads: Int

  /// The work that is worth a piece: NVRTC takes 30 ms to start one, and some 5 ms a kilobyte.
  private static let leastWork = 16 << 10

  /// Throws where there is no NVRTC. Keeps code in `cacheDirectory`, if there is one.
  public init(
    for architecture: NVRTC.Architecture, from places: LibraryPlaces = .standard,
    cacheDirectory: String? = CacheDirectory.standard, threads: Int = ThreadPool.defaultThreads,
    effort: NVRTC.Effort = .full
  ) throws(Diagnostic) {
    self.architecture = architecture
    self.threads = threads
    self.effort = effort
    nvrtc = try NVRTC.load(from: places)
    let driver = (try? CUDADevice.driverVersion(from: places)) ?? 0
    versions = "\(nvrtc.version) \(driver) \(architecture.rawValue) \(effort)\n"
    cache = cacheDirectory.flatMap { ObjectCache(directory: $0 + "/cuda") }
  }

  /// The code of all functions; each is in one piece.
  public func compile(_ program: CUDAProgram) throws(Diagnostic) -> [Piece] {
    let pieces = program.pieces(for: threads, of: Self.leastWork)
    let pool = ThreadPool(threads: min(pieces.count, threads))
    return try pool.map(pieces) { (piece) throws(Diagnostic) in try compile(piece, of: program) }
  }

  private func compile(_ functions: [Int], of program: CUDAProgram) throws(Diagnostic) -> Piece {
    let start = ProcessorTime.ofThread
    let text = program.text(of: functions)
    let key = Digest.hexadecimal(Array((versions + text).utf8))
    let kept = cache?.object(key)
    let code: [UInt8]
    if let kept { code = kept } else {
      code = try nvrtc.compile(text, for: architecture, effort)
      cache?.keep(code, key)
    }
    return Piece(functions: functions, code: code, isFromDisk: kept != nil, seconds: ProcessorTime.ofThread - start)
  }
}
