import CUDABackend
import Compiler
import DSL
import Foundation
import IR
import Runtime

/// What this machine can do, measured: the speed of a large copy and of a large product.
package struct MachineLimits {
  /// Bytes read and written in a second.
  package let copyRate: Double
  /// Operations in a second.
  package let productRate: Double

  /// Measured on what runs programs for `device`; `nil` for those that nobody runs for speed.
  package init?(of device: CompileTarget, threads: Int) throws(Diagnostic) {
    switch device {
    case .interpreter, .emulatedCUDA: return nil
    case .cpu:
      copyRate = try Self.copyRate(threads)
      let executable = try Self.product(2048, for: .cpu, threads)
      var failure: Diagnostic?
      let seconds = Self.shortest(of: 5) {
        do throws(Diagnostic) { try executable.run() } catch { failure = error }
      }
      if let failure { throw failure }
      productRate = 2 * pow(2048, 3) / seconds
    case .cuda:
      // As large as helps, on a GPU that has the memory.
      let free = try CUDADevice.standard().freeMemory()
      let extent = [8192, 4096, 2048].first { 3 * 4 * $0 * $0 <= free / 8 } ?? 1024
      guard let program = try Self.product(extent, for: .cuda, threads) as? DeviceProgram else { return nil }
      let clock = try DeviceClock(program.queue, sweptBytes: min(4 << 30, free / 2))
      copyRate = try clock.copyRate()
      try program.run()
      let seconds = try clock.timings(repetitions: 5, seconds: 0, program.run).device.min() ?? .infinity
      productRate = 2 * pow(Double(extent), 3) / seconds
    }
  }

  /// A copy on all threads between areas far larger than any cache.
  package static func copyRate(_ threads: Int) throws(Diagnostic) -> Double {
    let (page, pages) = (4096, 1 << 16)
    let pool = ThreadPool(threads: threads)
    let source: Arena, target: Arena
    do {
      source = try Arena(size: page * pages)
      target = try Arena(size: page * pages)
    } catch {
      throw Diagnostic(error.message)
    }
    memset(source.base, 1, source.size)
    let seconds = shortest(of: 6) {
      pool.parallel(pages) { begin, end, _ in
        (target.base + begin * page).copyMemory(from: source.base + begin * page, byteCount: (end - begin) * page)
      }
    }
    return Double(2 * page * pages) / seconds
  }

  /// A product of two square matrices, compiled like any other program.
  private static func product(
    _ extent: Int, for device: CompileTarget, _ threads: Int
  ) throws(Diagnostic) -> any Executable {
    let trace = Trace(name: "product")
    let a = trace.input("a", .f32(extent, extent))
    let b = trace.input("b", .f32(extent, extent))
    let function = try trace.finish([("c", a.contract(b, "ik,kj->ij"))])
    let executable = try compile(
      Module(functions: [function]), entry: "product", for: device, options: CompileOptions(threads: threads))
    for number in 0..<2 {
      try executable.write(try .random(.f32(extent, extent), seed: UInt64(number)), to: number)
    }
    return executable
  }

  private static func shortest(of count: Int, _ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    return (0..<count).map { _ in clock.measure(body).inSeconds }.min() ?? .infinity
  }
}
