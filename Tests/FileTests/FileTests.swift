import CUDABackend
import Compiler
import Foundation
import IR
import Ops
import Passes
import Rewriting
import Runtime
import TestSupport
import Testing

/// Runs every `.ir` file beside the passes and among the examples. `BLESS=1 swift test` rewrites what they expect.
@Suite("files") struct FileTests {
  @Test("does what it says", arguments: TestFile.paths)
  func file(path: String) throws {
    let file = try TestFile(path: path)
    let parsed = try ParsedModule(parsing: file.program, file: path, ops: OpSet.table)
    try parsed.verify()
    for command in file.commands {
      switch command {
      case .verify: break
      case .roundTrip: try checkRoundTrip(parsed.module)
      case .run: try checkRuns(file, parsed.module)
      case .pass(let names): try checkPass(names, file, parsed.module)
      case .emitCUDA: try checkEmission(file, parsed.module)
      case .map: try checkMapping(file, parsed.module)
      case .expand: try checkExpansion(file, parsed.module)
      case .plan: try checkPlan(file, parsed.module)
      }
    }
    if !file.commands.contains(.run) { try checkRuns(file, parsed.module) }
  }

  private func checkRoundTrip(_ module: Module) throws {
    let text = module.text()
    #expect(try Module(parsing: text, ops: OpSet.table).text() == text)
  }

  /// The interpreter and the devices that are here agree with what the file says.
  private func checkRuns(_ file: TestFile, _ module: Module) throws {
    for text in file.runs {
      let line = try RunLine(text, in: module)
      let tolerance = Self.tolerance(of: [module])
      for (found, wanted) in zip(try Interpreter(module).run(line.function, line.arguments), line.results) {
        #expect(found.difference(from: wanted) <= tolerance, "\(text): got \(found.doubles)")
      }
      for target in [CompileTarget.cpu, .cuda] where target.isAvailable {
        let program = try compile(module, entry: line.function.name, for: target)
        for (number, argument) in line.arguments.enumerated() { try program.write(HostTensor(argument), to: number) }
        try program.run()
        for (number, wanted) in line.results.enumerated() {
          let found = try program.result(number).literal
          #expect(found.difference(from: wanted) <= max(tolerance, 1e-5), "\(text): \(target) gives \(found.doubles)")
        }
      }
    }
  }

  @Test(
    "NVRTC compiles what every example becomes", .enabled(if: NVRTC.absence == nil, "\(NVRTC.absence ?? "")"),
    arguments: TestFile.paths.filter { $0.hasPrefix("ir-examples/") })
  func compiles(path: String) throws {
    let file = try TestFile(path: path)
    let module = try ParsedModule(parsing: file.program, file: path, ops: OpSet.table).module
    for architecture in NVRTC.Architecture.allCases {
      let limits = ThreadLimits(for: architecture)
      var programs = [try CUDAProgram(module.kernels.map { ($0, try mapToThreads($0, within: limits)) })]
      if module.kernels.isEmpty { programs = try module.entries.map { try lower(module, entry: $0.name).cuda(for: architecture) } }
      for program in programs {
        let pieces = try CUDACompiler(for: architecture, threads: 1, effort: .least).compile(program)
        #expect(pieces.flatMap(\.functions).sorted() == Array(program.functions.indices))
      }
    }
  }

  private func checkPass(_ names: String, _ file: TestFile, _ before: Module) throws {
    var after = before
    var manager = PassManager(try Pipeline.parse(names, known: Pipelines.known))
    let reports = try manager.run(on: &after)
    try verify(after)
    let summary = Self.summary(before, after, reports)
    try expect(TestFile.Expectation(summary: summary, text: after.text()), of: file)
    if file.path.contains("/unchanged-") { #expect(before.text() == after.text(), "the pass keeps its hands off") }
    try checkNumbers(before, after)
  }

  private func expect(_ result: TestFile.Expectation, of file: TestFile) throws {
    if TestFile.blesses { return try file.bless(result) }
    #expect(file.expectation?.summary == result.summary)
    #expect(file.expectation?.text == result.text)
  }

  /// The CUDA text of every kernel. (LLVM's text changes with its version and the processor, so it is no expectation.)
  private func checkEmission(_ file: TestFile, _ module: Module) throws {
    var functions: [String] = []
    for kernel in module.kernels { functions.append(try CUDAEmitter.emit(kernel, as: mapToThreads(kernel)).text) }
    try expect(TestFile.Expectation(summary: "\(functions.count) kernels", text: functions.joined(separator: "\n")), of: file)
  }

  /// How every kernel is spread over threads, those of a program without kernels after all passes.
  private func checkMapping(_ file: TestFile, _ module: Module) throws {
    var module = module
    if module.kernels.isEmpty {
      var manager = PassManager(Pipelines.all)
      try manager.run(on: &module)
    }
    let texts = try module.kernels.map { try mapToThreads($0).text(for: $0) }
    try expect(TestFile.Expectation(summary: "\(texts.count) kernels", text: texts.joined(separator: "\n")), of: file)
  }

  /// Every kernel with its functions written as arithmetic.
  private func checkExpansion(_ file: TestFile, _ module: Module) throws {
    let texts = module.kernels.map { expandMath($0).text() }
    try expect(TestFile.Expectation(summary: "\(texts.count) kernels", text: texts.joined(separator: "\n")), of: file)
  }

  /// Where everything lies that a program's only function touches.
  private func checkPlan(_ file: TestFile, _ module: Module) throws {
    let program = try lower(module, entry: try #require(module.entries.first).name)
    let plan = program.plan
    func text(_ slot: MemoryPlan.Slot) -> String { "\(slot.offset)..<\(slot.offset + slot.bytes)" }
    func copies(_ copies: [(from: MemoryPlan.Slot, to: MemoryPlan.Slot)]) -> [String] {
      copies.map { "copy \(text($0.from)) to \(text($0.to))" }
    }
    var lines = zip(program.function.parameters, plan.parameters).map { value, slot in
      "parameter %\(program.function.name(of: value)) at \(text(slot))"
    }
    for step in plan.steps {
      lines += copies(step.copies) + ["@\(step.kernel) on \(step.buffers.map(text).joined(separator: ", "))"]
    }
    lines += copies(plan.copies) + plan.results.map { "result at \(text($0))" }
    let summary = "\(plan.bytes) bytes, \(plan.unsharedBytes) if nothing were shared"
    try expect(TestFile.Expectation(summary: summary, text: lines.map { $0 + "\n" }.joined()), of: file)
  }

  /// Both sides compute the same from the same random numbers.
  private func checkNumbers(_ before: Module, _ after: Module) throws {
    let tolerance = Self.tolerance(of: [before, after])
    for function in before.entries {
      guard let changed = after.function(named: function.name) else {
        Issue.record("@\(function.name) is gone")
        continue
      }
      var random = Seeded(11)
      let inputs = function.parameters.map { Literal.random(function.type(of: $0), using: &random) }
      let wanted = try Interpreter(before).run(function, inputs).flatMap(\.parts)
      // `split-rows` makes two parameters of a row-sparse one.
      let fits = changed.parameters.count == function.parameters.count
      let found = try Interpreter(after).run(changed, fits ? inputs : inputs.flatMap(\.parts)).flatMap(\.parts)
      #expect(found.map(\.type) == wanted.map(\.type))
      for (number, (a, b)) in zip(found, wanted).enumerated() {
        let difference = a.difference(from: b)
        #expect(difference <= tolerance, "result \(number) of @\(function.name) is off by \(difference)")
      }
    }
  }

  /// What the passes counted, and what the functions that can be called from outside move in memory.
  private static func summary(_ before: Module, _ after: Module, _ reports: [PassManager.Report]) -> String {
    var counts: [String: Int] = [:]
    for report in reports { counts.merge(report.counts) { $0 + $1 } }
    let done = counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    func cost(_ module: Module) -> Cost { module.entries.reduce(Cost()) { $0 + module.cost(of: $1) } }
    return (done.isEmpty ? "nothing" : done) + "; " + Cost.change(from: cost(before), to: cost(after))
  }

  /// How far numbers may part: bf16 and f16 are rounded in other places once operations are joined.
  private static func tolerance(of modules: [Module]) -> Double {
    let functions = modules.flatMap(\.functions)
    let types = functions.flatMap { function in (0..<function.valueCount).map { function.type(of: Value($0)) } }
    return types.contains { $0.dtype == .bf16 || $0.dtype == .f16 } ? 2e-2 : 1e-6
  }
}

extension Module {
  /// The functions that are not regions of others.
  var entries: [Function] {
    let called = regionNames
    return functions.filter { !called.contains($0.name) }
  }
}
