import Foundation
import IR
import Ops
import TestSupport
import Testing

extension Sample {
  /// A function of nothing but this op.
  func function() throws -> Function {
    var builder = FunctionBuilder(name: "f")
    let parameters = operands.enumerated().map { builder.parameter($1, name: $0 == 0 ? "x" : "") }
    builder.function.results = try builder.emit(op, parameters)
    return builder.function
  }
}

extension Function {
  /// Equal up to the numbers of values and the places in a text.
  func isSame(as other: Function) -> Bool {
    func plain(_ function: Function) -> [AnyHashable] {
      let order = function.parameters + function.operations.flatMap(\.results)
      let numbers = Dictionary(order.enumerated().map { ($1, $0) }) { first, _ in first }
      func shown(_ values: [Value]) -> [AnyHashable] {
        values.map { [numbers[$0] ?? -1, function.type(of: $0), function.name(of: $0)] as [AnyHashable] }
      }
      let operations = function.operations.map {
        [AnyHashable($0.op), shown($0.operands), shown($0.results)] as [AnyHashable]
      }
      return [
        function.name, shown(function.parameters), operations, shown(function.results), function.resultNames,
        function.donations,
      ]
    }
    return plain(self) == plain(other)
  }
}

/// The first line in which two texts differ, with both readings; `nil` where they are equal.
func firstDifference(_ got: String, _ wanted: String) -> String? {
  if got == wanted { return nil }
  let (got, wanted) = (
    got.split(separator: "\n", omittingEmptySubsequences: false),
    wanted.split(separator: "\n", omittingEmptySubsequences: false)
  )
  let number =
    zip(got, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(got.count, wanted.count)
  func line(_ lines: [Substring]) -> Substring { number < lines.count ? lines[number] : "<end>" }
  return "line \(number + 1):\n  got    \(line(got))\n  wanted \(line(wanted))"
}

@Suite("round trips") struct RoundTripTests {
  @Test("canonical text is printed as it was read", arguments: ["functions", "kernels"])
  func canonicalText(name: String) throws {
    let text = name == "functions" ? SampleTexts.functions : SampleTexts.kernels
    let module = try Module(parsing: text, ops: SampleOps.table)
    #expect(firstDifference(module.text(), text) == nil)
    #expect(firstDifference(module.text(PrintOptions(locations: true)), text) != nil || module.functions.isEmpty)
  }

  @Test(
    "the examples are right, and the same when read from their own text",
    arguments: ErrorFiles.names.filter { !$0.hasPrefix("errors/") })
  func examples(name: String) throws {
    let text = programText(of: try ErrorFiles.text(name))
    guard text.hasPrefix("// test: round-trip\n") else { return }
    let parsed = try ParsedModule(parsing: text, file: name, ops: ops)
    try parsed.verify()
    let read = try Module(parsing: parsed.module.text(), ops: ops)
    #expect(zip(read.functions, parsed.module.functions).allSatisfy { $0.isSame(as: $1) })
    #expect(read.kernels == parsed.module.kernels)
    #expect(firstDifference(read.text(), parsed.module.text()) == nil)
  }

  @Test("the programs in the grammar's page are right")
  func grammarPage() throws {
    let page = try String(
      contentsOf: ErrorFiles.folder.appendingPathComponent("../docs/ir-grammar.md"), encoding: .utf8)
    let blocks = page.components(separatedBy: "```\n").filter { $0.hasPrefix("func ") || $0.hasPrefix("kernel ") }
    #expect(blocks.count == 2)
    for block in blocks {
      let parsed = try ParsedModule(parsing: block, file: "ir-grammar.md", ops: ops)
      try parsed.verify()
      #expect(firstDifference(parsed.module.text(), block) == nil)
    }
  }

  @Test("the program read from its own text is the same", arguments: OpSet.all.flatMap { $0.samples })
  func samples(sample: Sample) throws {
    let function = try sample.function()
    try verify(function, in: Module())
    let read = try Module(parsing: function.text(), ops: ops)
    #expect(read.functions[0].isSame(as: function), "\(function)")
    #expect(firstDifference(read.text(), function.text()) == nil)
  }

  @Test(
    "the kernel of every op is verified and the same when read from its text",
    arguments: OpSet.all.flatMap { $0.samples })
  func kernels(sample: Sample) throws {
    let results = try sample.op.infer(sample.operands)
    guard !(sample.operands + results).contains(where: { $0.rows != nil }),
      let kernel = FormulaKernel.kernel(of: sample.op, sample.operands, results: results)
    else { return }
    try verify(kernel)
    let read = try Module(parsing: kernel.text(), ops: ops).kernels[0]
    #expect(read == kernel.canonicalized(), "\(kernel)")
    try verify(read)
  }

  @Test("random kernels are the same when read from their text")
  func randomKernels() throws {
    var generator = RandomKernel(seed: 5)
    for _ in 0..<400 {
      let kernel = generator.kernel()
      let text = kernel.text()
      let read = try ParsedModule(parsing: text, ops: ops)
      if read.module.kernels[0] != kernel.canonicalized() {
        Issue.record("\(text)")
        return
      }
      #expect(read.module.text() == text)
      try read.verify()
      #expect(kernel.canonicalized().canonicalized() == kernel.canonicalized())
    }
  }

  @Test("locations are read, and printed where asked for")
  func locations() throws {
    let text = """
      func @f(%x: f32[2]) -> f32[2] {
        %0 = exp %x : f32[2] loc("a \\"b\\".swift":12:3)
        %1 = exp %0 : f32[2]
        return %1
      }

      """
    let module = try Module(parsing: text, file: "m.ir", ops: ops)
    let places = module.functions[0].operations.map(\.location)
    #expect(
      places == [Location(file: "a \"b\".swift", line: 12, column: 3), Location(file: "m.ir", line: 3, column: 8)])
    let printed = module.text(PrintOptions(locations: true))
    #expect(firstDifference(printed, text.replacing("%0 : f32[2]", with: "%0 : f32[2] loc(\"m.ir\":3:8)")) == nil)
    #expect(!module.text().contains("loc("))
  }

  @Test("names that are no names are written in quotes, values with one name get numbers")
  func names() throws {
    var builder = FunctionBuilder(name: "a function")
    let odd = ["7", "a b", "x//y", "->", "\"", "ü", "x.y/z-w_0", "%"].map { builder.parameter(.f32(), name: $0) }
    let twin = builder.parameter(.f32(), name: "a b")
    builder.function.results = odd + [twin]
    let read = try Module(parsing: builder.function.text(), ops: ops).functions[0]
    #expect(read.name == "a function")
    #expect(read.parameters.map(read.name) == odd.map(builder.function.name) + [""])
    #expect(throws: Diagnostic.self) { try verify(builder.function, in: Module()) }
  }
}
