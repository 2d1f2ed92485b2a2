import IR
import Ops
import Passes
import Rewriting
import Synchronization
import Testing

@Suite("rewriting") struct RewritingTests {
  private static func module(_ body: String) throws -> Module {
    try Module(parsing: "func @f(%x: f32[4]) -> f32[4] {\n\(body)}\n", ops: OpSet.table)
  }

  @Test("a pipeline is read from text, and a near miss is suggested")
  func pipelines() throws {
    let passes = try Pipeline.parse("simplify, fuse-rows,lower-to-kernels", known: Pipelines.known)
    #expect(passes.map(\.name) == ["simplify", "fuse-rows", "lower-to-kernels"])
    let error = #expect(throws: Diagnostic.self) { try Pipeline.parse("simplfy", known: Pipelines.known) }
    #expect(error?.message == "no pass is named 'simplfy'; did you mean 'simplify'?")
    #expect(throws: Diagnostic.self) { try Pipeline.parse("simplify,,fuse-rows", known: Pipelines.known) }
  }

  @Test("the work of patterns grows with the program, not with its square")
  func linear() throws {
    var builder = FunctionBuilder(name: "f")
    var value = builder.parameter(.f32(4))
    for _ in 0..<5000 {
      let zero = try builder.emit(Constant(0, .f32(4)))
      value = try builder.emit(Binary(.add), value, zero)
    }
    builder.function.results = [value]
    var context = PassContext()
    let clock = ContinuousClock()
    let elapsed = try clock.measure { try builder.function.rewrite([.addsZero], &context) }
    #expect(builder.function.operations.isEmpty)
    #expect(context.counts == ["adds-zero": 5000])
    #expect(elapsed < .seconds(5), "5000 rewrites took \(elapsed)")
  }

  @Test("a limit stops between two rewrites")
  func limit() throws {
    var module = try Self.module("  %0 = negate %x : f32[4]\n  %1 = negate %0 : f32[4]\n  %2 = negate %1 : f32[4]\n  %3 = negate %2 : f32[4]\n  return %3\n")
    var manager = PassManager([.simplify], limit: 1)
    let reports = try manager.run(on: &module)
    #expect(reports[0].counts == ["twice": 1])
    #expect(module.functions[0].operations.count == 2)
  }

  @Test("patterns that go round in circles are an error that names one")
  func circles() throws {
    let module = try Self.module("  %0 = negate %x : f32[4]\n  return %0\n")
    let circle = Pattern("circle", on: Unary.self) { match, rewriter throws(NoMatch) in
      try rewriter.emit(Unary(.negate), match[0])
    }
    var function = module.functions[0]
    var context = PassContext()
    let error = #expect(throws: Diagnostic.self) { try function.rewrite([circle], &context) }
    #expect(error?.message.contains("'circle'") == true)
  }

  @Test("what a pattern builds stands where the old operation stood, with its place in the model")
  func locations() throws {
    let text = """
      func @f(%x: f32[4]) -> f32[4] {
        %0 = exp %x : f32[4] loc("model.swift":3:5)
        %1 = constant {type = f32[4], value = 2.0} : f32[4] loc("model.swift":4:5)
        %y = power %0, %1 : f32[4] loc("model.swift":5:5)
        return %y
      }

      """
    var module = try Module(parsing: text, ops: OpSet.table)
    var manager = PassManager([.simplify])
    try manager.run(on: &module)
    let operations = module.functions[0].operations
    #expect(operations.map(\.op.name) == ["exp", "multiply"])
    #expect(operations.map(\.location.line) == [3, 5])
    #expect(module.functions[0].name(of: operations[1].results[0]) == "y", "the result keeps its name")
  }

  @Test("a failing pass leaves a file that is its test")
  func reproducer() throws {
    var module = try Self.module("  %0 = exp %x : f32[4]\n  return %0\n")
    let broken = Pass("broken", function: { (function, _) throws(Diagnostic) in function.operations = [] })
    let box = Box()
    var manager = PassManager([broken], observers: [VerifyEach(), Reproducer { name, text in box.add(name, text) }])
    let error = #expect(throws: Diagnostic.self) { try manager.run(on: &module) }
    #expect(error?.message.hasPrefix("after 'broken' the program is wrong") == true)
    let (name, text) = try #require(box.files.first)
    #expect(name.hasPrefix("repro-") && name.hasSuffix(".ir"))
    #expect(text.hasPrefix("// test: pass broken\n"))
    #expect(try Module(parsing: text, ops: OpSet.table).functions.count == 1)
  }

  @Test("dumps show the program after each pass")
  func dumps() throws {
    let box = Box()
    var module = try Self.module("  %0 = negate %x : f32[4]\n  %1 = negate %0 : f32[4]\n  return %1\n")
    var manager = PassManager(
      [.simplify, .removeDeadCode],
      observers: [
        Dump(.changed) { box.add("changed", $0) }, Dump(.named(["remove-dead-code"])) { box.add("named", $0) },
        DumpTree { name, text throws(Diagnostic) in box.add(name, text) },
      ])
    let reports = try manager.run(on: &module)
    #expect(Set(box.files.keys) == ["changed", "named", "00-input.ir", "01-simplify.ir", "02-remove-dead-code.ir"])
    #expect(box.files["changed"]?.hasPrefix("// ----- after simplify -----\nfunc @f") == true)
    #expect(PassManager.Report.table(reports).contains("simplify          twice 1"))
  }
}

/// Files that observers wrote.
private final class Box: Sendable {
  private let stored: Mutex<[String: String]>
  init() { stored = Mutex([:]) }
  var files: [String: String] { stored.withLock { $0 } }
  func add(_ name: String, _ text: String) { stored.withLock { $0[name, default: ""] += text } }
}

extension Pattern {
  fileprivate static let addsZero = Pattern("adds-zero", on: Binary.self) { match, rewriter throws(NoMatch) in
    let zero = try rewriter.definition(of: match[1], as: Constant.self)
    try rewriter.require(zero.op.value == 0, "not zero")
    return match[0]
  }
}
