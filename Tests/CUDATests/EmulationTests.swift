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

  static let scalars = Result { try SpreadSamples(Sample.scalars) }

  @Test("scalars are what the interpreter computes", arguments: Sample.scalars.indices)
  func scalars(_ number: Int) throws { try EmulationTests.scalars.get().check(Sample.scalars[number], number) }

  static let products = Result { try SpreadSamples(Sample.products) }

  @Test("products are what the interpreter computes", arguments: Sample.products.indices)
  func products(_ number: Int) throws { try EmulationTests.products.get().check(Sample.products[number], number) }

  static let drawn = (1...60).map { RandomKernels.sample($0) }
  static let random = Result { try SpreadSamples(drawn) }

  @Test("kernels of random statements wait wherever they must", arguments: drawn.indices)
  func random(_ number: Int) throws { try EmulationTests.random.get().check(EmulationTests.drawn[number], number) }

  @Test("a forgotten barrier shows in some order of threads", arguments: [Sample.reversed(6, 50), .scalarsInPlace(6, 50)])
  func forgottenBarrier(_ sample: Sample) throws {
    var mapping = try mapToThreads(sample.kernel)
    #expect(!mapping.stages[0].waits.isEmpty)
    mapping.stages[0].waits = []
    // What is left of cooperation keeps the threads fibers that run as far as they can.
    let program = try EmulatedCUDA.compile([(sample.kernel, mapping)])
    let wanted = try sample.interpreted()
    let orders: [EmulatedCUDA.ThreadOrder] = [.ascending, .descending, .shuffled(3)]
    let isRight = try orders.map { order in
      try zip(sample.emulated(by: program, 0, order: order), wanted).allSatisfy { $0.difference(from: $1) < 1e-5 }
    }
    #expect(isRight.contains(false))
  }

  @Test("a barrier that not all threads reach is reported with its line")
  func divergence() throws {
    let sample = Sample.reversed(5, 200)
    var mapping = try mapToThreads(sample.kernel)
    // Two teams in a block wait for the whole block, and the last block has one iteration only.
    mapping.stages[0].teamsPerBlock = 2
    mapping.stages[0].blocks = 3
    mapping.stages[0].sharedBytes *= 2
    let program = try EmulatedCUDA.compile([(sample.kernel, mapping)])
    do throws(Diagnostic) {
      _ = try sample.emulated(by: program, 0)
      Issue.record("the barrier went unnoticed")
    } catch {
      #expect(error.message.hasPrefix("k0_reversed_5_200_0: block 2, thread 0, line "))
      #expect(error.message.hasSuffix("waits at a barrier that not all threads of its block reach"))
    }
  }
}
