import Compiler
import DSL
import Foundation
import IR
import Runtime

/// What this machine can do, measured: the speed of a large copy and of a large product.
struct MachineLimits {
  /// Bytes read and written in a second.
  let copyRate: Double
  /// Operations in a second.
  let productRate: Double

  init(threads: Int) throws(Diagnostic) {
    copyRate = try Self.copyRate(threads)
    productRate = try Self.productRate(threads)
  }

  /// A copy on all threads between areas far larger than any cache.
  private static func copyRate(_ threads: Int) throws(Diagnostic) -> Double {
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
  private static func productRate(_ threads: Int) throws(Diagnostic) -> Double {
    let extent = 2048
    let trace = Trace(name: "product")
    let a = trace.input("a", .f32(extent, extent))
    let b = trace.input("b", .f32(extent, extent))
    let function = try trace.finish([("c", a.contract(b, "ik,kj->ij"))])
    let executable = try compile(
      Module(functions: [function]), entry: "product", for: .cpu, options: CompileOptions(threads: threads))
    for number in 0..<2 {
      try executable.write(try .random(.f32(extent, extent), seed: UInt64(number)), to: number)
    }
    var failure: Diagnostic?
    let seconds = shortest(of: 5) {
      do throws(Diagnostic) { try executable.run() } catch { failure = error }
    }
    if let failure { throw failure }
    return 2 * pow(Double(extent), 3) / seconds
  }

  private static func shortest(of count: Int, _ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    return (0..<count).map { _ in clock.measure(body).inSeconds }.min() ?? .infinity
  }
}
