import Foundation
import IR
import Runtime

/// Emitted CUDA text, run on this machine's processor under CUDA's execution model.
///
/// It is for checking: every thread of every block runs, one after the other. The C++ compiler takes seconds for a
/// program; it is given pieces of it, several at a time, and what it makes of them is kept on disk.
public final class EmulatedCUDA: Sendable {
  public let program: CUDAProgram
  private let kernels: [Kernel]
  /// Of each kernel: where its code is, and the number of its first launch there.
  private let places: [(library: EmulatedLibrary, firstLaunch: Int)]

  /// In which order the threads of a block run until they wait.
  public enum ThreadOrder: Hashable, Sendable {
    case ascending, descending
    case shuffled(UInt32)

    var code: UInt32 {
      switch self {
      case .ascending: 0
      case .descending: 1
      case .shuffled(let seed): max(2, seed)
      }
    }
  }

  /// Compiles kernels, with the mappings that go with them; code is kept in `cacheDirectory`, if there is one.
  public static func compile(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)], cacheDirectory: String? = CacheDirectory.standard
  ) throws(Diagnostic) -> EmulatedCUDA {
    let program: CUDAProgram
    do { program = try CUDAProgram(kernels) } catch { throw Diagnostic(error.message) }
    let compiler = try HostCompiler(cacheDirectory: cacheDirectory)
    let pieces = program.pieces(of: pieceBytes)
    let libraries = try ThreadPool(threads: min(pieces.count, ThreadPool.defaultThreads)).map(pieces) {
      (piece) throws(Diagnostic) in try EmulatedLibrary.of(piece, of: program, by: compiler)
    }
    var places: [(library: EmulatedLibrary, firstLaunch: Int)] = []
    for (piece, library) in zip(pieces, libraries) {
      var count = 0
      for kernel in program.kernels[piece] {
        places.append((library, count))
        count += kernel.launches.count
      }
    }
    return EmulatedCUDA(program, kernels.map(\.kernel), places)
  }

  /// Bytes of text from which a piece is ended.
  private static let pieceBytes = 64 << 10

  private init(
    _ program: CUDAProgram, _ kernels: [Kernel], _ places: [(library: EmulatedLibrary, firstLaunch: Int)]
  ) {
    (self.program, self.kernels, self.places) = (program, kernels, places)
  }

  /// Bytes of memory that the kernels need besides their buffers.
  public var scratchBytes: Int { program.scratchBytes }

  /// Runs a kernel on the buffers at `addresses`: inputs, outputs and workspace in the kernel's order; at `scratch` are
  /// `scratchBytes` for it.
  public func run(
    _ number: Int, _ addresses: [UInt64], scratch: UInt64, order: ThreadOrder = .ascending
  ) throws(Diagnostic) {
    let positions = try DevicePlaces(of: kernels[number], at: addresses, scratch: scratch)
    for (offset, launch) in program.kernels[number].launches.enumerated() where launch.grid > 0 {
      let arguments = launch.arguments.map { UnsafeMutableRawPointer(bitPattern: UInt(positions[$0])) }
      try places[number].library.run(launch, number: places[number].firstLaunch + offset, arguments, order)
    }
  }
}
