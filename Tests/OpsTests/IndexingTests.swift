import IR
import Ops
import TestSupport
import Testing

@Suite("ops that index") struct IndexingTests {
  @Test("numbers outside of the table give zeros and add nothing")
  func outside() throws {
    let ids = Literal.longs(-1, 0, 2, 3, .min, .max)
    let table = Literal(.f32(3, 2), floats: [1, 2, 3, 4, 5, 6])
    #expect(try apply(Gather(), table, ids)[0].doubles == [0, 0, 1, 2, 5, 6, 0, 0, 0, 0, 0, 0])
    let values = Literal(.f32(6, 2), floats: (1...12).map(Double.init))
    #expect(try apply(ScatterAdd(rows: 3), ids, values)[0].doubles == [3, 4, 0, 0, 5, 6])
    #expect(try apply(SegmentSum(segments: 3), ids, values)[0].doubles == [3, 4, 0, 0, 5, 6])
    #expect(try apply(GatherElements(), .floats(1, 2, 3), ids)[0].doubles == [0, 1, 3, 0, 0, 0])
    #expect(try apply(ScatterElements(extent: 3), ids, .floats(1, 2, 3, 4, 5, 6))[0].doubles == [2, 0, 3])
    let many = Literal.longs(-1, 0, 2, 3, .min, .max, 0, 0, 1)
    let sums = try apply(ScatterElements(extent: 3), many, .floats(1, 2, 3, 4, 5, 6, 7, 8, 9))[0]
    #expect(sums.doubles == [17, 9, 3])
  }

  @Test("numbers that repeat add up")
  func repeats() throws {
    #expect(try apply(ScatterAdd(rows: 2), .longs(1, 1, 1), .floats(1, 2, 3))[0].doubles == [0, 6])
    #expect(try apply(ScatterAdd(rows: 2), .longs(1, 1), .longs(.max, 1))[0].integers == [0, .min])
  }

  /// Shapes that fall into pieces of rows, of columns and of both.
  @Test("pieces of a scattered table meet", arguments: [(100, 1), (17, 3), (1, 700), (40, 64), (33, 513), (2, 0)])
  func pieces(rows: Int, width: Int) throws {
    var generator = Seeded(4)
    let ids = Literal.random(.i64(60), integersBelow: Int64(rows + 2), using: &generator)
    _ = try apply(ScatterAdd(rows: rows), ids, Literal.random(.f32(60, width), using: &generator))
    _ = try apply(SegmentSum(segments: rows), ids, Literal.random(.f32(60, width), using: &generator))
  }

  @Test("running sums go along any axis", arguments: [0, 1, 2])
  func runningSums(axis: Int) throws {
    var generator = Seeded(5)
    let x = Literal.random(.f32(3, 5, 130), using: &generator)
    for (exclusive, reversed) in [(false, false), (true, false), (false, true), (true, true)] {
      _ = try apply(CumulativeSum(axis: axis, exclusive: exclusive, reversed: reversed), x)
    }
    #expect(try apply(CumulativeSum(axis: 0), .floats(1, 2, 3))[0].doubles == [1, 3, 6])
    #expect(try apply(CumulativeSum(axis: 0, exclusive: true, reversed: true), .floats(1, 2, 3))[0].doubles == [5, 3, 0])
  }

  @Test("equations that mean nothing are refused", arguments: [
    ("ij", "wants an equation"), ("ij->ij", "wants the labels of two operands"), ("i,j,k->i", "wants the labels of two operands"),
    ("ii,ij->j", "repeats a label"), ("ij,jk->ikk", "repeats a label"), ("ij,jk->iz", "in no operand"),
    ("i j,jk->ik", "single letters"), ("ij,jk->ik", "along 'j'"), ("ijk,jk->i", "labels the 2 axes"),
  ])
  func equations(equation: String, message: String) {
    let error = #expect(throws: Violation.self) { try Contract(equation).infer([.f32(2, 3), .f32(4, 5)]) }
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }

  @Test("a row-sparse gradient of a table of billions is no more than its rows")
  func manyRows() throws {
    let types: [TensorType] = [.i64(1 << 20), TensorType(.bf16, [1 << 20, 128])]
    #expect(try MakeRows(rows: 1 << 26).infer(types)[0].rows == 1 << 20)
    #expect(throws: Violation.self) { try MakeRows(rows: 1 << 40).infer(types) }
  }
}
