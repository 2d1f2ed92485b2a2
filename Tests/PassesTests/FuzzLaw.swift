import Compiler
import Foundation
import IR
import Ops
import Passes
import Rewriting
import Runtime
import TestSupport
import Testing

/// Random programs compute the same after each pass as before.
///
/// `FUZZ=5000 swift test --filter fuzz` tries more of them, `FUZZ_FROM=123` begins at another seed.
@Suite("fuzz") struct FuzzLaw {
  static let seeds: [UInt64] = {
    let environment = ProcessInfo.processInfo.environment
    let count = environment["FUZZ"].flatMap { UInt64($0) } ?? 120
    let first = environment["FUZZ_FROM"].flatMap { UInt64($0) } ?? 0
    return Array(first..<(first + count))
  }()

  @Test("each pass keeps what random programs compute", arguments: seeds)
  func passesKeepMeaning(seed: UInt64) throws {
    var program = RandomProgram(seed: seed, operations: 4 + Int(seed % 37))
    try check(program.function, seed: seed, hasHalves: program.hasHalves)
    // `row_values` has no gradient, and says so.
    if let gradient = try? program.differentiated() { try check(gradient, seed: seed, hasHalves: program.hasHalves) }
  }

  #if LLVM
    @Test("machine code computes what random programs compute", arguments: seeds.prefix(max(30, seeds.count / 10)))
    func machineCodeAgrees(seed: UInt64) throws {
      var program = RandomProgram(seed: seed ^ 0x5eed, operations: 4 + Int(seed % 31))
      var functions = [program.function]
      if let gradient = try? program.differentiated() { functions.append(gradient) }
      for function in functions {
        let module = Module(functions: [function])
        let inputs = Self.inputs(of: function, seed: seed)
        let expected = try Interpreter(module).run("f", inputs)
        do {
          let compiled = try CPUProgram(module, entry: "f", options: CompileOptions(cacheDirectory: nil))
          for (number, literal) in inputs.enumerated() { try compiled.write(HostTensor(literal), to: number) }
          try compiled.run()
          for (number, wanted) in expected.flatMap(\.parts).enumerated() {
            let found = try compiled.result(number).literal
            let difference = found.difference(from: wanted)
            guard difference < (program.hasHalves ? 0.05 : 1e-3) else {
              Issue.record("seed \(seed): machine code changes result \(number) by \(difference) of\n\(module)\n-->\n\(compiled.program.module)")
              return
            }
          }
        } catch {
          Issue.record("seed \(seed): \(error)\n\(module)")
          return
        }
      }
    }
  #endif

  private static func inputs(of function: Function, seed: UInt64) -> [Literal] {
    var random = Seeded(seed ^ 0xabcdef)
    return function.parameters.map {
      Literal.random(function.type(of: $0), integersBelow: RandomProgram.ids, using: &random)
    }
  }

  private func check(_ function: Function, seed: UInt64, hasHalves: Bool) throws {
    let inputs = Self.inputs(of: function, seed: seed)
    var module = Module(functions: [function])
    let expected = try Interpreter(module).run("f", inputs)
    for pass in Pipelines.all {
      let before = module
      do {
        var manager = PassManager([pass])
        try manager.run(on: &module)
        let found = try Interpreter(module).run("f", inputs)
        let difference = compare(found, expected)
        guard difference < (hasHalves ? 0.05 : 1e-6) else {
          Issue.record("seed \(seed): '\(pass.name)' changes a result by \(difference) of\n\(before)\n-->\n\(module)")
          return
        }
      } catch {
        Issue.record("seed \(seed): '\(pass.name)' fails: \(error)\n\(before)\n-->\n\(module)")
        return
      }
    }
  }

  private func compare(_ found: [Literal], _ expected: [Literal]) -> Double {
    let (found, expected) = (found.flatMap(\.parts), expected.flatMap(\.parts))
    guard found.map(\.type) == expected.map(\.type) else { return .infinity }
    return zip(found, expected).map { $0.difference(from: $1) }.max() ?? 0
  }
}
