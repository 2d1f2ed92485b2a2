import IR
import Ops
import Testing

@Suite("cost") struct CostTests {
  func cost(_ body: String, rest: String = "") throws -> Cost {
    let parsed = try ParsedModule(parsing: body + rest, file: "cost.ir", ops: ops)
    try parsed.verify()
    return parsed.module.cost(of: parsed.module.functions[0])
  }

  static let mix = """
    func @mix(%h: f32[8, 4, 512], %a: f32[4, 5]) -> f32[8, 5, 512] {
      %0 = broadcast %h {axes = [2], shape = [8, 4, 5, 512]} : f32[8, 4, 5, 512]
      %1 = broadcast %a {axes = [0, 3], shape = [8, 4, 5, 512]} : f32[8, 4, 5, 512]
      %2 = multiply %0, %1 : f32[8, 4, 5, 512]
      %3 = reduce %2 {kind = sum, axes = [1]} : f32[8, 5, 512]
      return %3
    }

    """

  @Test("every operation reads its operands once and writes its results once")
  func operations() throws {
    let cost = try cost(Self.mix)
    let (h, a, product, y) = (65_536, 80, 327_680, 81_920)
    #expect(cost.bytesRead == h + a + 2 * product + product)
    #expect(cost.bytesWritten == 3 * product + y)
    #expect(cost.flops == 2 * 8 * 4 * 5 * 512)
    #expect(cost.launches == 4)
    #expect(cost.description == "moves 2.11 MB, 163.84 kflop, 4 launches")
  }

  @Test("a region keeps to itself what passes between its operations")
  func region() throws {
    let main = """
      func @main(%h: f32[8, 4, 512], %a: f32[4, 5]) -> f32[8, 5, 512] {
        %0 = region @mix %h, %a {rows = 8} : f32[8, 5, 512]
        return %0
      }

      """
    let fused = try cost(main, rest: Self.mix)
    #expect(fused == Cost(bytesRead: 65_616, bytesWritten: 81_920, flops: 163_840, launches: 1))
    #expect(Cost.change(from: try cost(Self.mix), to: fused) == "moves 2.11 MB -> 0.15 MB")
  }

  @Test("a product costs two operations for each combination of its labels")
  func contraction() throws {
    let cost = try cost(
      """
      func @f(%x: f32[2, 3, 5], %w: f32[7, 5]) -> f32[2, 3, 7] {
        %0 = contract %x, %w {equation = "bti,oi->bto"} : f32[2, 3, 7]
        return %0
      }
      """)
    #expect(cost == Cost(bytesRead: 4 * (30 + 35), bytesWritten: 4 * 42, flops: 2 * 2 * 3 * 5 * 7, launches: 1))
  }

  @Test("a look-up touches the rows it finds, not the table")
  func gather() throws {
    let cost = try cost(
      """
      func @f(%table: f32[100000, 16], %ids: i64[2, 4]) -> f32[2, 4, 16] {
        %0 = gather %table, %ids : f32[2, 4, 16]
        return %0
      }
      """)
    #expect(cost == Cost(bytesRead: 8 * 16 * 4 + 8 * 8, bytesWritten: 8 * 16 * 4, flops: 0, launches: 1))
  }

  @Test("a reshape is free, a slice reads what it keeps, an operand used twice is read once")
  func shapes() throws {
    let cost = try cost(
      """
      func @f(%x: f32[8, 6]) -> f32[6, 2] {
        %0 = reshape %x {shape = [6, 8]} : f32[6, 8]
        %1 = slice %0 {starts = [0, 2], limits = [6, 4]} : f32[6, 2]
        %2 = multiply %1, %1 : f32[6, 2]
        return %2
      }
      """)
    #expect(cost == Cost(bytesRead: 48 + 48, bytesWritten: 48 + 48, flops: 12, launches: 2))
  }

  @Test("a region that looks up rows of a reshaped table touches those rows")
  func regionLookup() throws {
    let cost = try cost(
      """
      func @main(%table: f32[1000, 4, 4], %ids: i64[8]) -> f32[8, 16] {
        %0 = region @look %table, %ids {rows = 8} : f32[8, 16]
        return %0
      }
      func @look(%table: f32[1000, 4, 4], %ids: i64[8]) -> f32[8, 16] {
        %0 = reshape %table {shape = [1000, 16]} : f32[1000, 16]
        %1 = gather %0, %ids : f32[8, 16]
        %2 = exp %1 : f32[8, 16]
        return %2
      }
      """)
    #expect(cost == Cost(bytesRead: 8 * 16 * 4 + 8 * 8, bytesWritten: 8 * 16 * 4, flops: 128, launches: 1))
  }

  @Test("a kernel touches what its loops reach; locals are not memory")
  func kernel() throws {
    let module = try Module(
      parsing: """
        kernel @k(in %x: f32[64], in %table: bf16[4096], in %ids: i64[8], out %y: f32[64], local %t: f32[8]) {
          parallel i0 < 8 {
            v0 = %ids[i0]
            sum v1: f32
            vector i1 < 8 width 8 unroll 1 {
              v2 = %x[8*i0 + i1] * %x[8*i0 + i1]
              v1 sum= fma(v2, 2.0, %table[8*v0 + i1 if v0 < 512i64])
              store %t[i1], v2
            }
            vector i2 < 8 width 8 unroll 1 limit [-8*i0 + 36] {
              store %y[8*i0 + i2], %t[i2] + v1
            }
          }
        }
        """, ops: ops)
    try verify(module.kernels[0])
    let elements = 4.5 * 8
    #expect(
      module.kernels[0].cost
        == Cost(
          bytesRead: 64 * 4 + 64 * 2 + 64, bytesWritten: Int(elements) * 4, flops: 64 * 4 + Int(elements), launches: 1))
  }

  @Test(
    "an op with a formula reads no more than its operands and writes its result",
    arguments: OpSet.all.flatMap { $0.samples })
  func samples(sample: Sample) throws {
    let function = try sample.function()
    let results = function.results.map { function.type(of: $0) }
    let cost = Module().cost(of: function)
    guard case .formula = sample.op.lower(sample.operands), cost.launches > 0 else { return }
    #expect(cost.bytesRead <= sample.operands.reduce(0) { $0 + $1.bytes })
    #expect(cost.bytesWritten == results[0].bytes)
  }
}
