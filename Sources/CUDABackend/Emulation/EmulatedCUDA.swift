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
  /// Where the code of each function is, by its name, and its number there.
  private let places: [String: (library: EmulatedLibrary, number: Int)]

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
    let program = try CUDAProgram(kernels)
    let compiler = try HostCompiler(cacheDirectory: cacheDirectory)
    let pieces = program.pieces(for: ThreadPool.defaultThreads, of: pieceWork)
    let libraries = try ThreadPool(threads: min(pieces.count, ThreadPool.defaultThreads)).map(pieces) {
      (piece) throws(Diagnostic) in try EmulatedLibrary.of(piece, of: program, by: compiler)
    }
    var places: [String: (library: EmulatedLibrary, number: Int)] = [:]
    for (piece, library) in zip(pieces, libraries) {
      for (number, function) in piece.enumerated() { places[program.functions[function].name] = (library, number) }
    }
    return EmulatedCUDA(program, kernels.map(\.kernel), places)
  }

  /// From how much work on a piece is ended.
  private static let pieceWork = 64 << 10

  private init(
    _ program: CUDAProgram, _ kernels: [Kernel], _ places: [String: (library: EmulatedLibrary, number: Int)]
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
    for launch in program.kernels[number] where launch.grid > 0 {
      guard let place = places[launch.function] else { preconditionFailure("every function is in a piece") }
      let arguments = launch.arguments.map { UnsafeMutableRawPointer(bitPattern: UInt(positions[$0])) }
      try place.library.run(launch, number: place.number, arguments, order)
    }
  }
}
