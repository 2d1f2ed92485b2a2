#if LLVM
import Foundation
import IR
import LLVMBackend
import Passes
import TestSupport
import Testing

/// Machine code and its constants stand in pages of their own, each where the system has room.
@Suite("linked code") struct LinkingTests {
  @Test("code finds its constants, however far away there is room for them")
  func farApart() throws {
    // Enough functions for several pages of code.
    let kernel = expandMath(elementwise([.f32(64)], .f32(64)) { position in
      let x = Scalar.load(BufferID(0), .f32, position, guard: nil)
      let functions: [UnaryFunction] = [.sine, .erf, .tanh, .exponential, .cosine, .sigmoid]
      return (1...4).reduce(Scalar.float(0)) { sum, factor in
        functions.reduce(sum) { $0 + .unary($1, x * .float(Double(factor) / 3)) }
      }
    })
    let input = Literal(.f32(64)) { Double($0[0]) / 16 - 2 }
    let wanted = try Machine.shared.run(kernel, [input], [.f32(64)])[0].doubles

    let spread = SpreadMemory()
    let compiler = CPUCompiler(cacheDirectory: nil, threads: 1)
    let compiled = try compiler.compile([kernel])[0]
    spread.release()
    #expect(try Machine.shared.run(compiled, kernel, [input], [.f32(64)])[0].doubles == wanted)
  }
}

/// Takes all free addresses but single pages here and there, and everything that is 8 GB below them.
private final class SpreadMemory {
  private var areas: [(start: UnsafeMutableRawPointer, bytes: Int)] = []
  private static let page = 4096

  init() {
    let pages = (0..<256).compactMap { _ in map(Self.page) }
    if let block = map(8 << 30) {
      areas.append((block, 8 << 30))
      // From large to small, until what comes next is below the block: then nothing of that size is free above.
      for bytes in [1 << 30, 1 << 26, 1 << 22, 1 << 18, 1 << 14, 2 * Self.page] {
        while let start = map(bytes) {
          areas.append((start, bytes))
          if start < block { break }
        }
      }
    }
    for (number, start) in pages.enumerated() {
      if number.isMultiple(of: 2) { areas.append((start, Self.page)) } else { munmap(start, Self.page) }
    }
  }

  func release() {
    for area in areas { munmap(area.start, area.bytes) }
    areas = []
  }

  private func map(_ bytes: Int) -> UnsafeMutableRawPointer? {
    let kind = MAP_PRIVATE | MAP_ANONYMOUS | Int32(MAP_NORESERVE)
    guard let start = mmap(nil, bytes, PROT_NONE, kind, -1, 0), start != MAP_FAILED else { return nil }
    return start
  }
}
#endif
