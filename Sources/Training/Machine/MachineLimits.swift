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
  /// Operations in a second, of products with factors of a precision.
  package let productRates: [Precision: Double]

  /// Measured on what runs programs for `device`; `nil` for those that nobody runs for speed.
  package init?(of device: CompileTarget, precisions: Set<Precision> = [.f32], threads: Int) throws(Diagnostic) {
    var rates: [Precision: Double] = [:]
    switch device {
    case .interpreter, .emulatedCUDA: return nil
    case .cpu:
      copyRate = try Self.copyRate(threads)
      for precision in precisions {
        let executable = try Self.product(2048, in: precision, for: .cpu, threads)
        var failure: Diagnostic?
        let seconds = Self.shortest(of: 5) {
          do throws(Diagnostic) { try executable.run() } catch { failure = error }
        }
        if let failure { throw failure }
        rates[precision] = 2 * pow(2048, 3) / seconds
      }
    case .cuda:
      // As large as helps, on a GPU that has the memory.
      let free = try CUDADevice.standard().freeMemory()
      let extent = [8192, 4096, 2048].first { 3 * 4 * $0 * $0 <= free / 8 } ?? 1024
      var copyRate = 0.0
      for precision in precisions {
        guard let program = try Self.product(extent, in: precision, for: .cuda, threads) as? DeviceProgram else { return nil }
        let clock = try DeviceClock(program.queue, sweptBytes: min(4 << 30, free / 2))
        if copyRate == 0 { copyRate = try clock.copyRate() }
        try program.run()
        let seconds = try clock.timings(repetitions: 5, seconds: 0, program.run).device.min() ?? .infinity
        rates[precision] = 2 * pow(Double(extent), 3) / seconds
      }
      self.copyRate = copyRate
    }
    productRates = rates
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
    _ extent: Int, in precision: Precision, for device: CompileTarget, _ threads: Int
  ) throws(Diagnostic) -> any Executable {
    let trace = Trace(name: "product")
    let type = TensorType(precision == .bf16 ? .bf16 : .f32, [extent, extent])
    let a = trace.input("a", type)
    let b = trace.input("b", type)
    let function = try trace.finish([("c", a.contract(b, "ik,kj->ij"))])
    let executable = try compile(
      Module(functions: [function]), entry: "product", for: device, options: CompileOptions(threads: threads))
    for number in 0..<2 {
      try executable.write(try .random(type, seed: UInt64(number)), to: number)
    }
    return executable
  }

  private static func shortest(of count: Int, _ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    return (0..<count).map { _ in clock.measure(body).inSeconds }.min() ?? .infinity
  }
}
