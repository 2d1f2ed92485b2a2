import IR
import Runtime

/// Makes machine code of programs for one kind of GPU, with NVRTC.
///
/// A program is cut into pieces of whole kernels, which several threads compile. Code is kept on disk, under a digest of
/// a piece's text, the architecture, and the versions of NVRTC and the driver.
public struct CUDACompiler: Sendable {
  /// Some kernels of a program as one module.
  public struct Piece: Sendable {
    public let kernels: Range<Int>
    public let code: [UInt8]
    /// Whether the code was on disk.
    public let isFromDisk: Bool
  }

  public let architecture: NVRTC.Architecture
  public let effort: NVRTC.Effort
  private let nvrtc: NVRTC
  /// What code depends on besides the text.
  private let versions: String
  private let cache: ObjectCache?
  private let threads: Int

  /// Bytes of text from which a piece is ended. NVRTC takes 30 ms to start a module, and some 15 ms a kilobyte: a piece
  /// costs enough to be worth it, and no thread has much to do when the others are done.
  private static let pieceBytes = 8 << 10

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

  /// The code of all kernels, in their order.
  public func compile(_ program: CUDAProgram) throws(Diagnostic) -> [Piece] {
    func bytes(_ piece: Range<Int>) -> Int { program.kernels[piece].reduce(0) { $0 + $1.functions.utf8.count } }
    // The longest first, for the kernels of a program differ a lot in size.
    let pieces = program.pieces(of: Self.pieceBytes).sorted { bytes($0) > bytes($1) }
    let pool = ThreadPool(threads: min(pieces.count, threads))
    let made = try pool.map(pieces) { (piece) throws(Diagnostic) in try compile(piece, of: program) }
    return made.sorted { $0.kernels.lowerBound < $1.kernels.lowerBound }
  }

  private func compile(_ kernels: Range<Int>, of program: CUDAProgram) throws(Diagnostic) -> Piece {
    let text = program.text(of: kernels)
    let key = Digest.hexadecimal(Array((versions + text).utf8))
    if let code = cache?.object(key) { return Piece(kernels: kernels, code: code, isFromDisk: true) }
    let code = try nvrtc.compile(text, for: architecture, effort)
    cache?.keep(code, key)
    return Piece(kernels: kernels, code: code, isFromDisk: false)
  }
}
