import Foundation
import IR
import Runtime

/// Emitted CUDA text, run on this machine's processor under CUDA's execution model.
///
/// It is for checking: every thread of every block runs, one after the other. A program is one translation unit for
/// the C++ compiler, which takes seconds; the result is kept on disk.
public final class EmulatedCUDA: @unchecked Sendable {
  public let program: CUDAProgram
  private let kernels: [Kernel]
  private let entry: EntryPoint
  /// The number of the first launch of each kernel.
  private let firstLaunches: [Int]
  private let scratch: UnsafeMutableRawPointer
  /// The library keeps the threads of the running block in its own memory.
  private let lock = NSLock()

  private typealias EntryPoint = @convention(c) (
    Int32, UnsafePointer<UnsafeMutableRawPointer?>, Int64, Int32, Int64, UInt32, UnsafeMutablePointer<CChar>, Int64
  ) -> Int32

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
    let text = emulationPrelude + program.text + entryPoint(of: program)
    let library = try HostCompiler(cacheDirectory: cacheDirectory).library(of: text)
    guard let entry = library.function("millrace_emulate", as: EntryPoint.self) else {
      throw Diagnostic("the emulated program has no entry point")
    }
    return EmulatedCUDA(program, kernels.map(\.kernel), entry)
  }

  private init(_ program: CUDAProgram, _ kernels: [Kernel], _ entry: @escaping EntryPoint) {
    self.program = program
    self.kernels = kernels
    self.entry = entry
    var count = 0
    firstLaunches = program.kernels.map { kernel in
      defer { count += kernel.launches.count }
      return count
    }
    let bytes = program.kernels.map(\.scratchBytes).max() ?? 0
    scratch = .allocate(byteCount: max(bytes, 1), alignment: 64)
  }

  deinit { scratch.deallocate() }

  /// Runs a kernel on its buffers: inputs, outputs and workspace in the kernel's order.
  public func run(
    _ number: Int, _ buffers: [UnsafeMutableRawPointer], order: ThreadOrder = .ascending
  ) throws(Diagnostic) {
    let kernel = kernels[number]
    let passed = kernel.buffers.indices.filter { kernel.buffers[$0].role != .local }
    guard buffers.count == passed.count else {
      throw Diagnostic("kernel '\(kernel.name)' takes \(passed.count) buffers, got \(buffers.count)")
    }
    let pointers = Dictionary(uniqueKeysWithValues: zip(passed, buffers))
    lock.lock()
    defer { lock.unlock() }
    for (offset, launch) in program.kernels[number].launches.enumerated() where launch.grid > 0 {
      let arguments = launch.arguments.map { argument -> UnsafeMutableRawPointer? in
        switch argument {
        case .buffer(let id): pointers[id.index]
        case .scratch: scratch
        }
      }
      try run(launch, number: firstLaunches[number] + offset, arguments, order)
    }
  }

  private func run(
    _ launch: CUDAText.Launch, number: Int, _ arguments: [UnsafeMutableRawPointer?], _ order: ThreadOrder
  ) throws(Diagnostic) {
    var message = [CChar](repeating: 0, count: 512)
    let code = entry(
      Int32(number), arguments, Int64(launch.grid), Int32(launch.block), Int64(launch.sharedBytes), order.code, &message,
      Int64(message.count))
    guard code == 0 else {
      let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw Diagnostic("\(launch.function): \(String(decoding: text, as: UTF8.self))")
    }
  }

  /// The table of stages, and the one function the library shows.
  private static func entryPoint(of program: CUDAProgram) -> String {
    let entries = program.kernels.flatMap(\.launches).map { launch in
      "  {[](void** pointers) { emulation::call(\(launch.function), pointers); }, \(launch.isCooperative)},\n"
    }
    return """

      static const emulation::Entry entries[] = {
      \(entries.joined())  {nullptr, false}};
      extern "C" __attribute__((visibility("default"))) int millrace_emulate(
          int number, void** pointers, long long grid, int block, long long sharedBytes, unsigned order, char* message,
          long long capacity) {
        return emulation::launch(entries[number], pointers, grid, block, sharedBytes, order, message, capacity);
      }

      """
  }
}
