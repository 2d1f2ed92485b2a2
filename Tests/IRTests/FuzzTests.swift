import IR
import Ops
import TestSupport
import Testing

/// Damages texts in every way a file can be damaged.
struct Mutator {
  private var generator: Seeded
  private let texts: [[UInt8]]
  private static let words = [
    "func", "kernel", "@f", "%x", "%0", "region", "launch", "{", "}", "(", ")", "[", "]", ",", ":", "=", "->", "-", "%",
    "/",
    "*", "+", "<", "if", "limit", "parallel", "vector", "product", "rows", "sum", "store", "in", "out", "f32", "i64[2]",
    "i0",
    "v0", "0", "1", "-1", "9223372036854775807", "9223372036854775808", "4611686018427387904", "1e999", "nan", "inf",
    "\"",
    "\\", "//", "\n", "loc(", "donates 0", "convert(", "select(", "rows<3>", "1i32", "\u{0}", "ü",
  ]

  init(seed: UInt64, _ texts: [String]) {
    generator = Seeded(seed)
    self.texts = texts.map { Array($0.utf8) }
  }

  private mutating func below(_ count: Int) -> Int { count > 0 ? Int.random(in: 0..<count, using: &generator) : 0 }

  mutating func next() -> String {
    var bytes = texts[below(texts.count)]
    for _ in 0...below(1 + below(4)) { mutate(&bytes) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private mutating func mutate(_ bytes: inout [UInt8]) {
    let at = below(bytes.count)
    let end = min(bytes.count, at + 1 + below(1 << below(8)))
    switch below(8) {
    case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8(below(8))
    case 1: bytes.removeSubrange(at..<end)
    case 2: bytes.insert(UInt8(below(256)), at: at)
    case 3: bytes.insert(contentsOf: bytes[at..<end], at: below(bytes.count))
    case 4:
      // Two words change places.
      let (a, b) = (word(bytes, below(bytes.count)), word(bytes, below(bytes.count)))
      let (first, second) = a.lowerBound < b.lowerBound ? (a, b) : (b, a)
      guard first.upperBound <= second.lowerBound else { return }
      let moved = Array(bytes[first])
      bytes.replaceSubrange(first, with: bytes[second])
      let shift = second.count - first.count
      bytes.replaceSubrange((second.lowerBound + shift)..<(second.upperBound + shift), with: moved)
    case 5: bytes.replaceSubrange(word(bytes, at), with: Array(Self.words[below(Self.words.count)].utf8))
    case 6: bytes.insert(contentsOf: Array((" " + Self.words[below(Self.words.count)] + " ").utf8), at: at)
    default: if below(4) == 0 { bytes.removeSubrange(at...) }
    }
  }

  private func word(_ bytes: [UInt8], _ at: Int) -> Range<Int> {
    func isWord(_ byte: UInt8) -> Bool { byte > 0x2f && byte < 0x7b }
    var (low, high) = (at, at)
    while low > 0, isWord(bytes[low - 1]) { low -= 1 }
    while high < bytes.count, isWord(bytes[high]) { high += 1 }
    return low..<high
  }
}

@Suite("damaged texts") struct FuzzTests {
  @Test("every damaged text is a module or a diagnostic")
  func mutations() throws {
    let files = try ErrorFiles.names.flatMap { ErrorFiles.parts(try ErrorFiles.text($0)) }
    let samples = OpSet.all.flatMap { $0.samples.prefix(2) }
    let functions = try samples.map { try $0.function().text() }
    let kernels = try samples.compactMap { sample in
      FormulaKernel.kernel(of: sample.op, sample.operands, results: try sample.op.infer(sample.operands))?.text()
    }
    let examples = [SampleTexts.kernels, CostTests.mix] + files.filter { $0.contains("test: round-trip") }
    var mutator = Mutator(seed: 6, functions + kernels + files + examples)
    var (modules, verified) = (0, 0)
    for _ in 0..<10_000 {
      let text = mutator.next()
      do throws(Diagnostic) {
        let parsed = try ParsedModule(parsing: text, ops: ops)
        modules += 1
        // What was read can be printed, and reads back as what was printed.
        let printed = parsed.module.text()
        let again = try Module(parsing: printed, ops: ops).text()
        if again != printed { Issue.record("\(text)\n\(firstDifference(again, printed) ?? "")") }
        try parsed.verify()
        verified += 1
        for function in parsed.module.functions { _ = parsed.module.cost(of: function) }
        for kernel in parsed.module.kernels { _ = kernel.cost }
      } catch {
        if !error.location.isKnown { Issue.record("no place: \(error)\n\(text)") }
      }
    }
    // The mutations are neither all fatal nor all harmless.
    #expect(modules > 1000 && modules < 9000)
    #expect(verified > 500)
  }

  static let deep = [
    String(repeating: "(", count: 20_000), String(repeating: "exp(", count: 20_000),
    "1.0" + String(repeating: " + 1.0", count: 20_000),
    "[" + String(repeating: "(", count: 20_000), "[" + String(repeating: "(i / 3 + ", count: 20_000),
    String(repeating: "%x[i if ", count: 20_000), "[i" + String(repeating: " + i % 3", count: 2_000) + "]",
  ]

  @Test("depth and length cannot exhaust the stack", arguments: deep.indices)
  func depth(number: Int) {
    let text =
      "kernel @k(in %x: f32[4], out %y: f32[4]) {\n parallel i < 1000 {\n store %y[0], \(Self.deep[number])\n}\n}\n"
    do throws(Diagnostic) {
      try ParsedModule(parsing: text, ops: ops).verify()
      Issue.record("accepted")
    } catch {
      #expect(error.location.isKnown)
    }
  }

  @Test("blocks and attributes nest no deeper than the parser can follow")
  func blocks() {
    for text in [
      "kernel @k() {" + String(repeating: "if true {", count: 20_000),
      "func @f() -> () { %0 = everything {a = " + String(repeating: "[", count: 20_000),
      "func @f() -> () { %0 = everything {a = " + String(repeating: "{a = ", count: 20_000),
    ] {
      let error = #expect(throws: Diagnostic.self) { try Module(parsing: text, ops: SampleOps.table) }
      #expect(error?.message == "nested more than 200 levels deep")
    }
  }
}
