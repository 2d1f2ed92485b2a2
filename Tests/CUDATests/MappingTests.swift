import CUDABackend
import IR
import Passes
import TestSupport
import Testing

@Suite("map-to-threads") struct MappingTests {
  func stage(_ sample: Sample, _ number: Int = 0) throws -> ThreadMapping.Stage {
    try mapToThreads(sample.kernel).stages[number]
  }

  @Test("a team is as large as the longest vector loop can feed")
  func teams() throws {
    func shape(_ rows: Int, _ width: Int) throws -> [Int] {
      let stage = try stage(.normalized(rows, width))
      return [stage.team, stage.teamsPerBlock, stage.blocks]
    }
    #expect(try shape(1000, 1) == [1, 128, 8])
    #expect(try shape(1000, 3) == [4, 32, 32])
    #expect(try shape(1000, 17) == [32, 4, 250])
    // Four floats at a time.
    #expect(try shape(1000, 200) == [64, 1, 1000])
    #expect(try shape(5000, 200) == [32, 4, 1250])
    #expect(try shape(1000, 4000) == [256, 1, 1000])
  }

  @Test("a product that is all of a stage has a block for each tile")
  func tiles() throws {
    let stage = try stage(.products[0])
    #expect(stage.divided == [0])
    #expect(stage.blocks == 2)
    #expect(try self.stage(.amongOthers).divided == nil)
  }

  @Test("lanes that touch what they touched before do not wait")
  func sameLanes() throws {
    #expect(try stage(.normalized(9, 200)).waits.isEmpty)
    #expect(try stage(.lanesInPlace(9, 200)).waits.isEmpty)
    // The rows of a workspace are the digits of its positions: other rows are other memory.
    #expect(try stage(.columnSums(9, 200)).waits.isEmpty)
  }

  @Test("a team waits where a thread touches what another one stored")
  func waits() throws {
    #expect(try stage(.reversed(9, 200)).waits == [[1]])
    // Each of the two loops reads what the other one stored, around the serial loop too; the last reads its own.
    #expect(try stage(.updatedInTurn).waits == [[1, 0], [1, 1]])
    // Every thread reads what the leader then replaces.
    #expect(try stage(.scalarsInPlace(9, 200)).waits.contains([0, 1]))
  }

  @Test("accumulators are combined as late as nobody has read them")
  func combinations() throws {
    #expect(try stage(.nested).combinations == [[3]: [Variable(0, .f32), Variable(1, .f32)]])
    #expect(try stage(.prefixSums(9, 200)).combinations == [[3, 0]: [Variable(1, .f32)]])
  }

  @Test("planes of one buffer are stored at once, and not where they meet")
  func planes() throws {
    func stores(_ distance: Int) throws -> Int? {
      let (i, j) = (LoopVariable(0, below: 8), LoopVariable(1, below: 64))
      let at = Position(i) * 128 + Position(j), value = Scalar.load(BufferID(0), .f32, at, guard: nil)
      let body: [Statement] = [.store(BufferID(1), at, value), .store(BufferID(1), at + distance, value)]
      let kernel = Kernel(
        name: "planes", buffers: [.init("x", .f32, 1024, .input), .init("y", .f32, 1024, .output)],
        body: [.loop(Loop(i, .parallel, [.loop(Loop(j, .vector(width: 16, unroll: 2), body))]))])
      return try mapToThreads(kernel).stages[0].packs[[0]]?.stores.count
    }
    #expect(try stores(64) == 2)
    #expect(try stores(32) == 0)
  }

  @Test("the next row comes ahead where a block does several, and nothing else hides the time of memory")
  func ahead() throws {
    func ahead(_ sample: Sample, _ spread: Spread) throws -> [Int: Int] {
      let stage = try mapToThreads(sample.kernel, within: spread.limits).stages[0]
      return stage.packs.reduce(into: [:]) { if !$1.value.ahead.isEmpty { $0[$1.key[0]] = $1.value.ahead.count } }
    }
    // Both loops that read x, each its own row.
    #expect(try ahead(.normalized(37, 256), .ahead) == [1: 1, 4: 1])
    #expect(try mapToThreads(Sample.normalized(37, 256).kernel, within: Spread.ahead.limits).stages[0].blocks < 19)
    // One round of blocks, rows of half a warp, and enough threads.
    #expect(try ahead(.normalized(1, 700), .ahead).isEmpty)
    #expect(try ahead(.normalized(40, 17), .ahead).isEmpty)
    #expect(try ahead(.normalized(37, 256), .usual).isEmpty)
  }

  @Test("locals go where there is room")
  func places() throws {
    #expect(try stage(.insertion).places == [BufferID(2): .thread])
    #expect(try stage(.reversed(9, 200)).places == [BufferID(2): .shared(at: 0, stride: 800)])
    #expect(try stage(.large).places == [BufferID(2): .scratch(at: 0, stride: 240_000)])
  }
}
