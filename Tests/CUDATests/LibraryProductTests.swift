@testable import CUDABackend
import IR
import Ops
@testable import Passes
import TestSupport
import Testing

/// What a library of column-major matrices makes of a product, in double precision: the plainest reading of its arguments.
private struct ColumnMajor {
  let product: LibraryProduct

  func run(_ memory: inout [BufferID: [Double]]) {
    for call in product.callOffsets {
      for number in 0..<product.batch {
        let (a, b, d) = (product.a, product.b, product.d)
        for i in 0..<product.m {
          for j in 0..<product.n {
            let at = place(d, call.d, number, i, j)
            var sum = product.accumulates ? memory[d.buffer]![at] : 0
            for l in 0..<product.k {
              sum += memory[a.buffer]![place(a, call.a, number, i, l)] * memory[b.buffer]![place(b, call.b, number, l, j)]
            }
            memory[d.buffer]![at] = sum
          }
        }
      }
    }
  }

  /// Where element (row, column) of op(matrix) stands.
  private func place(_ matrix: LibraryProduct.Operand, _ offset: Int, _ number: Int, _ row: Int, _ column: Int) -> Int {
    let (i, j) = matrix.isTransposed ? (column, row) : (row, column)
    #expect(i < matrix.rows && j < matrix.columns && matrix.leading >= matrix.rows)
    return offset + number * matrix.batchStride + i + j * matrix.leading
  }
}

@Suite("products of a library") struct LibraryProductTests {
  /// Small products too.
  static let limits: ThreadLimits = {
    var limits = ThreadLimits()
    limits.libraryFlops = 0
    return limits
  }()

  /// The library's reading of a kernel's last stage, against the interpreter's of the kernel.
  func check(_ sample: Sample, _ library: LibraryProduct) throws {
    let wanted = try sample.interpreted()[0]
    let inputs = sample.kernel.buffers.indices.filter { sample.kernel.buffers[$0].role == .input }
    var memory: [BufferID: [Double]] = [:]
    for (number, input) in zip(inputs, sample.inputs) { memory[BufferID(number)] = input.doubles }
    let start = library.accumulates ? 0.25 : .nan
    memory[library.d.buffer] = [Double](repeating: start, count: wanted.type.count)
    ColumnMajor(product: library).run(&memory)
    let got = Literal(wanted.type, floats: memory[library.d.buffer] ?? [])
    #expect(got.difference(from: wanted) <= (wanted.type.dtype == .f32 ? 1e-9 : 1e-2))
  }

  static let alone = Sample.products.filter { $0.kernel.name != Sample.amongOthers.kernel.name }

  @Test("a stage of nothing but a product is a call of the library", arguments: alone)
  func samples(_ sample: Sample) throws {
    let stage = try #require(mapToThreads(sample.kernel, within: LibraryProductTests.limits).stages.last)
    let dtypes = sample.kernel.buffers.map(\.dtype)
    guard dtypes[0] == dtypes[1] else {
      #expect(stage.library == nil)
      return
    }
    try check(sample, #require(stage.library))
  }

  /// Contractions in all orders of labels: batches that step evenly or not, pieces of rows, operands that change places.
  static let contractions: [(String, [Int], [Int])] = [
    ("ij,jk->ik", [300, 7], [7, 5]), ("ij,jk->ki", [300, 7], [7, 5]), ("ji,jk->ik", [7, 130], [7, 9]),
    ("ij,kj->ik", [140, 7], [270, 7]), ("bti,oi->bto", [3, 50, 6], [8, 6]), ("bij,bjk->bik", [3, 200, 4], [3, 4, 5]),
    ("btgw,bsgw->bgts", [2, 9, 3, 4], [2, 7, 3, 4]), ("bgts,bsgw->btgw", [2, 3, 9, 7], [2, 7, 3, 4]),
    ("btgrw,bsgw->bgrts", [2, 5, 2, 3, 4], [2, 6, 2, 4]), ("i,i->", [40], [40]), ("ij,j->i", [30, 4], [4]),
  ]

  @Test("contractions are calls with their batches", arguments: contractions.indices)
  func contraction(_ number: Int) throws {
    let (equation, a, b) = LibraryProductTests.contractions[number]
    let types = [TensorType(.f32, a), TensorType(.f32, b)]
    let result = try Contract(equation).infer(types)[0]
    let kernel = try #require(ProductLowering.kernel(Contract(equation), types, result: result, name: "product"))
    let stage = try mapToThreads(kernel, within: LibraryProductTests.limits).stages[0]
    try check(Sample("product", kernel.buffers, kernel.body), #require(stage.library))
  }

  @Test("what a library cannot do stays a tile of our own")
  func refuses() throws {
    func library(_ sample: Sample, _ limits: ThreadLimits = LibraryProductTests.limits) throws -> LibraryProduct? {
      try mapToThreads(sample.kernel, within: limits).stages[0].library
    }
    #expect(try library(.amongOthers) == nil)
    #expect(try library(.product("small", 3, 5, 2), ThreadLimits()) == nil)
    #expect(try library(.product("integers", 3, 5, 2, dtypes: (.f32, .f32, .bf16))) == nil)
  }

  @Test("addresses are as aligned as offsets and steps allow")
  func alignment() throws {
    let stage = try mapToThreads(Sample.batched.kernel, within: LibraryProductTests.limits).stages[0]
    let library = try #require(stage.library)
    // The result's rows lie one after the other, so that it is bᵀ · aᵀ; a batch steps by 50, 200 and 100 elements of 4 bytes.
    #expect([library.a, library.b, library.d].map(\.batchStride) == [50, 200, 100])
    #expect([library.a, library.b, library.d].map { CUDAProduct.alignment(of: $0, 64) } == [8, 32, 16])
  }

  @Test("the absence of the library is one sentence", .enabled(if: (try? CUBLASLt()) == nil, "cuBLASLt is there"))
  func absence() throws {
    do throws(Diagnostic) {
      _ = try CUBLASLt()
      Issue.record("loaded")
    } catch {
      #expect(error.message.hasPrefix("no cuBLASLt is found, ") && !error.message.contains("\n"))
    }
  }
}
