import CUDABackend
import Compiler
import IR
import Passes
import TestSupport
import Testing

/// Products by tensor cores, as the emulation executes them: all layouts, sizes that fill no tile, all kinds of elements.
@Suite("tensor cores") struct TensorTests {
  static let samples: [Sample] = {
    var samples: [Sample] = []
    for (number, (a, b)) in [(false, false), (false, true), (true, false), (true, true)].enumerated() {
      // Lines that start at multiples of 16 bytes, of 4, and at odd elements.
      for (m, n, k) in [(72, 40, 48), (34, 70, 26), (19, 33, 37)] {
        samples.append(
          .product(
            "tensor_\(number)_\(m)", m, n, k, aTransposed: a, bTransposed: b, dtypes: (.bf16, .bf16, .f32)
          ).tolerance(1e-5))
      }
    }
    return samples + [
      .product("tensor_large", 130, 132, 96, dtypes: (.bf16, .bf16, .bf16)).tolerance(1e-2),
      .product("tensor_f16", 40, 24, 64, bTransposed: true, dtypes: (.f16, .f16, .f16)).tolerance(2e-3),
      .product("tensor_adds", 40, 24, 64, dtypes: (.bf16, .bf16, .f32), accumulates: true).tolerance(1e-5),
      .product("tensor_columns", 40, 24, 64, cTransposed: true, dtypes: (.bf16, .bf16, .bf16)).tolerance(1e-2),
      .product("tensor_empty", 40, 24, 0, dtypes: (.bf16, .bf16, .f32)),
      onChip,
    ]
  }()

  /// A product of what the block itself has made, so that nothing is copied past the registers.
  static let onChip: Sample = {
    let (i, j) = (LoopVariable(0, below: 3), LoopVariable(1, below: 32 * 16))
    let x = Product.Matrix(BufferID(2), at: Position(0), rowStride: 16, columnStride: 1)
    let transposed = Product.Matrix(BufferID(2), at: Position(0), rowStride: 1, columnStride: 16)
    let y = Product.Matrix(BufferID(1), at: Position(i) * 1024, rowStride: 32, columnStride: 1)
    return Sample(
      "tensor_on_chip", [input(3 * 512), output(3 * 1024), local(512, .bf16)],
      [
        parallel(i, [
          vector(j, [store(2, Position(j), load(0, Position(i) * 512 + Position(j)) * .float(0.5))]),
          .product(Product(m: 32, n: 32, k: 16, x, transposed, into: y)),
        ])
      ])
  }()

  /// The layouts in f32, as tf32: factors have 10 bits behind the point.
  static let rounded: [Sample] = {
    let samples: [Sample] = [
      .product("tf32", 40, 24, 36), .product("tf32_transposed", 37, 23, 21, aTransposed: true, bTransposed: true),
      .product("tf32_b_transposed", 40, 24, 36, bTransposed: true),
    ]
    return samples.map { $0.tolerance(3e-3) }
  }()

  /// Products that four warps do together: all layouts, tiles of all shapes, some that end in the middle.
  static let wide: [Sample] = {
    var samples: [Sample] = []
    for (number, (a, b)) in [(false, false), (false, true), (true, false), (true, true)].enumerated() {
      for (m, n, k) in [(136, 264, 328), (64, 200, 64), (72, 64, 144), (64, 72, 80)] {
        samples.append(
          .product(
            "wide_\(number)_\(m)_\(n)", m, n, k, aTransposed: a, bTransposed: b, dtypes: (.bf16, .bf16, .f32)
          ).tolerance(3e-5))
      }
    }
    return samples + [
      .product("wide_f16", 80, 136, 64, bTransposed: true, dtypes: (.f16, .f16, .f16)).tolerance(4e-3),
      .product("wide_adds", 80, 136, 192, dtypes: (.bf16, .bf16, .f32), accumulates: true).tolerance(2e-5),
      .product("wide_columns", 80, 136, 64, cTransposed: true, dtypes: (.bf16, .bf16, .bf16)).tolerance(2e-2),
    ]
  }()

  static func limits(_ architecture: NVRTC.Architecture, tf32: Bool = false) -> ThreadLimits {
    var limits = ThreadLimits(for: architecture)
    limits.allowsTF32 = tf32
    return limits
  }

  static func mapped(for architecture: NVRTC.Architecture) throws -> [(kernel: Kernel, mapping: ThreadMapping)] {
    // Few tiles would be made smaller, so that all multiprocessors have one.
    var single = limits(architecture)
    single.multiprocessors = 1
    return try samples.map { ($0.kernel, try mapToThreads($0.kernel, within: limits(architecture))) }
      + wide.map { ($0.kernel, try mapToThreads($0.kernel, within: single)) }
      + rounded.map { ($0.kernel, try mapToThreads($0.kernel, within: limits(architecture, tf32: true))) }
  }
  static let mapped = Result { try mapped(for: .sm90) }
  static let program = Result { try EmulatedCUDA.compile(mapped.get()) }

  @Test("emulated, tensor cores compute what the interpreter computes", arguments: (samples + wide + rounded).indices)
  func emulated(_ number: Int) throws {
    let sample = (TensorTests.samples + TensorTests.wide + TensorTests.rounded)[number]
    let stage = try #require(TensorTests.mapped.get()[number].mapping.stages.last)
    #expect(stage.tiles.values.allSatisfy { $0.unit != .thread })
    #expect(stage.tiles.values.allSatisfy(\.isOfWarpgroups) == sample.kernel.name.contains("wide"))
    let wanted = try sample.interpreted()
    var first: [[UInt8]]?
    for order in [EmulatedCUDA.ThreadOrder.ascending, .descending, .shuffled(5)] {
      let got = try sample.emulated(by: TensorTests.program.get(), number, order: order)
      for (got, wanted) in zip(got, wanted) {
        #expect(got.difference(from: wanted) <= sample.tolerance, "\(order)")
      }
      #expect(got.map(\.memory) == (first ?? got.map(\.memory)), "another order of threads, other bits")
      first = first ?? got.map(\.memory)
    }
  }

  @Test("NVRTC compiles them", .needsNVRTC, arguments: NVRTC.Architecture.allCases)
  func compiles(architecture: NVRTC.Architecture) throws {
    let code = try NVRTC.load().compile(CUDAProgram(TensorTests.mapped(for: architecture)).text, for: architecture)
    #expect(!code.isEmpty)
  }

  @Test("lines that start anywhere are copied element by element, even ones 16 bytes at once")
  func widths() throws {
    func widths(_ sample: Sample) throws -> [Int] {
      let tile = try #require(mapToThreads(sample.kernel).stages[0].tiles[[0]])
      return [tile.a.width, tile.b.width]
    }
    let kinds: (DType, DType, DType) = (.bf16, .bf16, .f32)
    #expect(try widths(.product("even", 72, 40, 48, dtypes: kinds)) == [8, 8])
    #expect(try widths(.product("by_two", 34, 70, 26, dtypes: kinds)) == [2, 2])
    #expect(try widths(.product("odd", 19, 33, 37, dtypes: kinds)) == [1, 1])
  }
}
