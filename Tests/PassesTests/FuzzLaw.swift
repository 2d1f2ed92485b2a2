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
    @Test("machine code computes what random programs compute, in memory that is shared and donated", arguments: few)
    func machineCodeAgrees(seed: UInt64) throws {
      for (program, hasHalves) in try Self.programs(seed: seed ^ 0x5eed) {
        var function = program
        Self.donate(&function, seed: seed)
        try run(function, for: .cpu, seed: seed, tolerance: hasHalves ? 0.05 : 1e-3)
      }
    }
  #endif

  @Test("CUDA text computes what random programs compute", arguments: few)
  func cudaTextAgrees(seed: UInt64) throws {
    for (function, hasHalves) in try Self.programs(seed: seed ^ 0xcdaa) {
      try run(function, for: .emulatedCUDA, seed: seed, tolerance: hasHalves ? 0.05 : 1e-3)
    }
  }

  static let few = Array(seeds.prefix(max(25, seeds.count / 10)))

  /// A random program and, where it has one, its gradient.
  private static func programs(seed: UInt64) throws -> [(Function, hasHalves: Bool)] {
    var program = RandomProgram(seed: seed, operations: 4 + Int(seed % 31))
    let gradient = try? program.differentiated()
    return [(program.function, program.hasHalves)] + (gradient.map { [($0, program.hasHalves)] } ?? [])
  }

  /// Lets results take over the memory of parameters of their type.
  private static func donate(_ function: inout Function, seed: UInt64) {
    var random = Seeded(seed)
    var free = Array(function.results.indices)
    for (number, parameter) in function.parameters.enumerated() where Bool.random(using: &random) {
      let type = function.type(of: parameter)
      guard let place = free.firstIndex(where: { function.type(of: function.results[$0]) == type }) else { continue }
      function.donations[number] = free.remove(at: place)
    }
  }

  /// Runs a compiled function twice, and holds its results and what it leaves in its parameters to the interpreter.
  private func run(_ function: Function, for target: CompileTarget, seed: UInt64, tolerance: Double) throws {
    let module = Module(functions: [function])
    let inputs = Self.inputs(of: function, seed: seed)
    let expected = try Interpreter(module).run("f", inputs).flatMap(\.parts)
    do {
      let compiled = try compile(module, entry: "f", for: target, options: CompileOptions(cacheDirectory: nil))
      for (number, literal) in inputs.enumerated() { try compiled.write(HostTensor(literal), to: number) }
      for round in 1...2 {
        try compiled.run()
        for (number, wanted) in expected.enumerated() {
          let difference = try compiled.result(number).literal.difference(from: wanted)
          guard difference < tolerance else {
            Issue.record("seed \(seed), run \(round): result \(number) is off by \(difference) of\n\(module)")
            return
          }
        }
        for (number, input) in inputs.enumerated() {
          // A donated parameter holds its next value; to run the same again it is written anew.
          let donated = compiled.function.donations[number]
          let wanted = donated.map { expected[$0] } ?? input
          let difference = try compiled.parameter(number).literal.difference(from: wanted)
          guard difference < tolerance else {
            Issue.record("seed \(seed), run \(round): parameter \(number) is left off by \(difference) of\n\(module)")
            return
          }
          if donated != nil { try compiled.write(HostTensor(input), to: number) }
        }
      }
    } catch {
      Issue.record("seed \(seed): \(error)\n\(module)")
    }
  }

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
