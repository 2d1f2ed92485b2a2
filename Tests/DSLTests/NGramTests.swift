import DSL
import IR
import Runtime
import Testing

/// Row numbers of hashed n-grams, against vectors that were worked out by hand or are published.
@Suite("n-grams") struct NGramTests {
  private func rows(_ options: OverEncoding.Options, vocabulary: Int, _ tokens: [Int64]) throws -> [[Int64]] {
    let layer = OverEncoding(vocabulary: vocabulary, width: 4, options)
    let trace = Trace(name: "rows")
    let found = layer.rows(of: trace.input("tokens", .i64(1, tokens.count)))
    let function = try trace.finish(found.enumerated().map { ("\($0)", $1) })
    let input = Literal(.i64(1, tokens.count), integers: tokens)
    return try Interpreter(Module(functions: [function])).run(function, [input]).map(\.integers)
  }

  /// Over-Tokenized Transformer with V = 50280, N = 3, k = 2, m = 12,800,000.
  @Test("rows are those of the paper's arithmetic, each power reduced or not")
  func vectors() throws {
    let tokens: [Int64] = [17, 50279, 0, 313, 50279, 50279, 50278, 1]
    let options = OverEncoding.Options(orders: 3, slices: 2, rows: 12_800_000, base: 50280, sliceWidth: 2)
    #expect(try rows(options, vocabulary: 50280, tokens) == [
      [17, 905039, 6428120, 313, 2987919, 6478399, 6478398, 6377841],
      [17, 905039, 6427726, 313, 2987917, 6478005, 6478004, 6377447],
      [17, 905039, 1346700, 4552285, 2987915, 11569535, 11029582, 10929025],
      [17, 905039, 1339590, 10291483, 2987913, 11445503, 3968380, 3867823],
    ])
  }

  @Test("orders up to 7 agree with exact arithmetic")
  func exact() throws {
    let (base, length) = (151_936, 9)
    var random = SplitMix64(seed: 3)
    let tokens = (0..<length).map { _ in Int64(random.next() % UInt64(base)) }
    let options = OverEncoding.Options(orders: 7, slices: 1, rows: 99_991, rowStep: 6, base: base, sliceWidth: 2)
    for (table, found) in try rows(options, vocabulary: base, tokens).enumerated() {
      let modulus = options.rows(ofTable: table)
      for place in 0..<length {
        // Horner's rule from the oldest on, reduced at each step.
        var row = 0
        for back in (0..<options.order(ofTable: table)).reversed() {
          row = (row * (base % modulus) + (place >= back ? Int(tokens[place - back]) : 0)) % modulus
        }
        #expect(found[place] == Int64(row))
      }
    }
  }

  @Test("n-grams of decimal digits are read as numbers, and end at document boundaries")
  func documents() throws {
    var options = OverEncoding.Options(orders: 4, rows: 1 << 40, rowStep: 0, base: 10, sliceWidth: 2)
    #expect(try rows(options, vocabulary: 10, [1, 2, 3, 4, 5]) == [
      [1, 12, 23, 34, 45], [1, 12, 123, 234, 345], [1, 12, 123, 1234, 2345],
    ])
    options.boundary = 3
    #expect(try rows(options, vocabulary: 10, [1, 2, 3, 4, 5]) == [
      [1, 12, 23, 4, 45], [1, 12, 123, 4, 45], [1, 12, 123, 4, 45],
    ])
  }
}
