import Foundation
import IR
import Ops
import TestSupport
import Testing

@Suite("ops that order") struct OrderTests {
  @Test("top-k puts NaN first, and the lower place of equals")
  func topK() throws {
    let x = Literal.floats(1, .nan, 3, -.infinity, 3, .nan, .infinity)
    let results = try apply(TopK(7), x)
    #expect(results[1].integers == [1, 5, 6, 2, 4, 0, 3])
    #expect(try apply(TopK(3), x)[1].integers == [1, 5, 6])
    #expect(try apply(TopK(2), .floats(-.infinity, -.infinity, -.infinity))[1].integers == [0, 1])
    #expect(try apply(TopK(2), .floats(-0.0, 0.0, -1))[1].integers == [0, 1])
    #expect(try apply(TopK(2), .longs(.min, .max, .min))[1].integers == [1, 0])
  }

  /// Lines long enough for a bound, with what could break it: equal elements, NaN, an order, a tail beyond the groups.
  @Test("top-k of long lines", arguments: [63, 64, 65, 127, 130, 300], [1, 3, 8, 9])
  func topKOfLongLines(length: Int, k: Int) throws {
    var generator = Seeded(UInt64(length * 10 + k))
    _ = try apply(TopK(k), Literal.random(.f32(2, length), using: &generator))
    _ = try apply(TopK(k), Literal.random(TensorType(.i32, [3, length]), integersBelow: 4, using: &generator))
    _ = try apply(TopK(k), Literal(.i64(length), integers: (0..<length).map { Int64($0) }))
    _ = try apply(TopK(k), Literal(.i64(length), integers: (0..<length).map { Int64(-$0) }))
    let equal = try apply(TopK(k), Literal(.f32(length), floats: [Double](repeating: -.infinity, count: length)))
    #expect(equal[1].integers == (0..<k).map { Int64($0) })
    let numbers = (0..<length).map { $0 % 7 == 3 ? Double.nan : sin(Double($0)) }
    _ = try apply(TopK(k), Literal(.f32(length), floats: numbers))
    let oneNaN = (0..<length).map { $0 == length - 1 ? Double.nan : Double($0 % 5) }
    #expect(try apply(TopK(k), Literal(.f32(length), floats: oneNaN))[1].integers[0] == Int64(length - 1))
  }

  /// Lengths on both sides of what is counted and what is searched.
  @Test("the largest are chosen as top-k does, ties and NaN included", arguments: [1, 2, 9, 64, 65, 300, 1100])
  func topMask(length: Int) throws {
    var generator = Seeded(UInt64(length))
    let odd = [Double.nan, .infinity, -.infinity, 0, -0.0, 1, -1, 1e-40, -1e-40, 3e38]
    let lines = (0..<length).map { _ in odd[Int.random(in: 0..<odd.count, using: &generator)] }
    let same = [Double](repeating: 1, count: length)
    let x = Literal(.f32(3, length), floats: lines + same + lines.reversed())
    let integers = Literal(.i64(1, length), integers: lines.map { $0.isNaN ? .min : $0 > 1 ? .max : $0 < -1 ? -7 : Int64($0) })
    for k in Set([0, 1, length / 3, length / 2, length - 1, length]) {
      for x in [x, integers] {
        let mask = try apply(TopMask(k), x)[0]
        let places = TopK(k).reference([x])[1].integers
        for line in 0..<x.type.shape[0] {
          let chosen = Set(places[(line * k)..<((line + 1) * k)])
          let marked = (0..<length).filter { mask.integers[line * length + $0] != 0 }
          #expect(Set(marked.map(Int64.init)) == chosen, "\(k) of \(length)")
        }
      }
    }
    #expect(throws: Violation.self) { try TopMask(length + 1).infer([.f32(length)]) }
  }

  @Test("sorting is stable, with NaN as the largest")
  func sort() throws {
    let x = Literal.floats(2, .nan, 1, 2, -.infinity, 1, .nan)
    #expect(try apply(Sort(), x)[1].integers == [4, 2, 5, 0, 3, 1, 6])
    #expect(try apply(Sort(descending: true), x)[1].integers == [1, 6, 0, 3, 2, 5, 4])
  }

  /// Lengths around runs of 32 and pieces of 1024 elements.
  @Test("long lines are sorted in pieces", arguments: [31, 32, 33, 64, 65, 1023, 1025, 2049, 3000, 5000])
  func longLines(length: Int) throws {
    var generator = Seeded(UInt64(length))
    let few = Literal.random(TensorType(.i32, [2, length]), integersBelow: 50, using: &generator)
    _ = try apply(Sort(), few)
    _ = try apply(Sort(descending: true), Literal.random(.f32(length), using: &generator))
    let ordered = Literal(.i64(length), integers: (0..<length).map { Int64($0) })
    #expect(try apply(Sort(), ordered)[1] == ordered)
    _ = try apply(Sort(descending: true), ordered)
  }

  @Test("argmax gives the first of equals, a NaN before all")
  func argMax() throws {
    #expect(try apply(ArgMax(axis: 0), .floats(1, 5, 5, 2))[0].integers == [1])
    #expect(try apply(ArgMax(axis: 0), .floats(1, .nan, 5, .nan))[0].integers == [1])
    #expect(try apply(ArgMax(axis: 0), .floats(-.infinity, -.infinity))[0].integers == [0])
    #expect(try apply(ArgMax(axis: 0), .longs(.min, .min))[0].integers == [0])
    #expect(throws: Violation.self) { try ArgMax(axis: 0).infer([.f32(0)]) }
  }

  @Test("rows of one number merge in the order they had; negative numbers vanish", arguments: [5, 40, 1500, 20_000], [0, 22, 44])
  func mergeRows(count: Int, shift: Int) throws {
    var generator = Seeded(9)
    // Large numbers need more digits than the first two.
    let ids = (0..<count).map { _ in Int64.random(in: -3..<Int64(count / 2), using: &generator) }.map { $0 < 0 ? $0 : $0 << shift + $0 }
    let values = Literal.random(.f32(count, 3), using: &generator)
    let merged = try apply(MergeRows(), Literal(.i64(count), integers: ids), values)
    let kept = merged[0].integers.prefix { $0 >= 0 }
    #expect(Array(kept) == Set(ids.filter { $0 >= 0 }).sorted())
    #expect(merged[0].integers.dropFirst(kept.count).allSatisfy { $0 == -1 })
    let wanted = MergeRows().reference([Literal(.i64(count), integers: ids), values])
    #expect(wanted[0] == merged[0] && wanted[1].doubles == merged[1].doubles)
  }

  @Test("merging works at the limits of numbers")
  func mergeLimits() throws {
    let values = Literal(.f32(4, 1), floats: [1, 2, 3, 4])
    #expect(try apply(MergeRows(), .longs(.max, 0, .min, .max), values)[0].integers == [0, .max, -1, -1])
    #expect(try apply(MergeRows(), .longs(-1, -2, -3, -1), values)[0].integers == [-1, -1, -1, -1])
  }

  @Test("merging does not change the tensor")
  func mergingKeepsTheSum() throws {
    var generator = Seeded(2)
    let x = Literal.random(TensorType(.f32, [4, 2], rows: 9), using: &generator)
    let merged = MergeRows().reference([x])
    #expect(Densify().reference(merged)[0].difference(from: Densify().reference([x])[0]) < 1e-12)
  }
}
