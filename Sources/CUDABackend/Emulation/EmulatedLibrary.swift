import Foundation
import IR
import Synchronization

/// Kernels of a program as a library of this machine's code.
final class EmulatedLibrary: @unchecked Sendable {
  private let entry: EntryPoint
  /// The library keeps the threads of the running block in its own memory.
  private let lock = NSLock()

  private typealias EntryPoint = @convention(c) (
    Int32, UnsafePointer<UnsafeMutableRawPointer?>, Int64, Int32, Int64, UInt32, UnsafeMutablePointer<CChar>, Int64
  ) -> Int32

  /// The libraries of this process by their text. One that is loaded twice is one memory, and takes one lock.
  private static let loaded = Mutex<[String: EmulatedLibrary]>([:])

  /// Some functions of a program, compiled if they are not on disk yet.
  static func of(
    _ piece: [Int], of program: CUDAProgram, by compiler: HostCompiler
  ) throws(Diagnostic) -> EmulatedLibrary {
    let text = emulationPrelude + program.text(of: piece) + entryPoint(of: piece.map { program.functions[$0] })
    if let known = loaded.withLock({ $0[text] }) { return known }
    let library = try EmulatedLibrary(try compiler.library(of: text))
    return loaded.withLock { loaded in
      if let known = loaded[text] { return known }
      loaded[text] = library
      return library
    }
  }

  private init(_ library: DynamicLibrary) throws(Diagnostic) {
    guard let entry = library.function("millrace_emulate", as: EntryPoint.self) else {
      throw Diagnostic("the emulated program has no entry point")
    }
    self.entry = entry
  }

  /// Launches function `number` of the library.
  func run(
    _ launch: CUDAText.Launch, number: Int, _ arguments: [UnsafeMutableRawPointer?], _ order: EmulatedCUDA.ThreadOrder
  ) throws(Diagnostic) {
    lock.lock()
    defer { lock.unlock() }
    var message = [CChar](repeating: 0, count: 512)
    let code = entry(
      Int32(number), arguments, Int64(launch.grid), Int32(launch.block), Int64(launch.sharedBytes), order.code, &message,
      Int64(message.count))
    guard code == 0 else {
      let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw Diagnostic("\(launch.function): \(String(decoding: text, as: UTF8.self))")
    }
  }

  /// The table of functions, and the one function the library shows.
  private static func entryPoint(of functions: [CUDAText.Function]) -> String {
    let entries = functions.map { function in
      "  {[](void** pointers) { emulation::call(\(function.name), pointers); }, \(function.form.isCooperative)},\n"
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
