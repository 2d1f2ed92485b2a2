import CUDABackend
import IR
import Passes
import TestSupport
import Testing

/// All samples, spread in all ways, as one program.
struct SpreadSamples: Sendable {
  let program: EmulatedCUDA

  init(_ samples: [Sample]) throws {
    var kernels: [(kernel: Kernel, mapping: ThreadMapping)] = []
    for sample in samples {
      for spread in Spread.allCases { kernels.append((sample.kernel, try mapToThreads(sample.kernel, within: spread.limits))) }
    }
    program = try EmulatedCUDA.compile(kernels)
  }

  /// Compares sample `number` with the interpreter, in every spread and order of threads.
  func check(_ sample: Sample, _ number: Int) throws {
    let wanted = try sample.interpreted()
    for (offset, spread) in Spread.allCases.enumerated() {
      var first: [Literal]?
      for order in [EmulatedCUDA.ThreadOrder.ascending, .descending, .shuffled(17)] {
        let got = try sample.emulated(by: program, number * Spread.allCases.count + offset, order: order)
        for (got, wanted) in zip(got, wanted) {
          #expect(got.difference(from: wanted) <= sample.tolerance, "\(spread), \(order)")
        }
        let bytes = got.map(\.memory)
        #expect(bytes == (first ?? got).map(\.memory), "\(spread): another order of threads, other bits")
        first = first ?? got
      }
    }
  }
}

@Suite("emulation of emitted kernels") struct EmulationTests {
  static let rows = Result { try SpreadSamples(Sample.rows) }

  @Test("kernels of rows do what the interpreter does", arguments: Sample.rows.indices)
  func rows(_ number: Int) throws { try EmulationTests.rows.get().check(Sample.rows[number], number) }
}
