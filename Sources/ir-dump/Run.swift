import ArgumentParser
import Compiler
import IR
import Passes
import Rewriting
import Runtime

/// What a function is given.
struct InputOptions: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "A parameter in order: 4x4xf32, 4x4xf32=1, 4xi64=1,2,3,4, 4xf32=random:7, @x.npy, @m.safetensors:NAME. Repeatable; "
        + "parameters left out are random.", valueName: "tensor"))
  var input: [String] = []

  /// A tensor for each parameter.
  func tensors(for function: Function) throws -> [HostTensor] {
    guard input.count <= function.parameters.count else {
      throw Diagnostic("@\(function.name) takes \(function.parameters.count) inputs, got \(input.count)")
    }
    return try function.parameters.enumerated().map { number, parameter in
      let type = function.type(of: parameter)
      if number < input.count { return try InputSpec(parsing: input[number]).tensor(for: type) }
      return try .random(type, seed: UInt64(number))
    }
  }
}

/// `ir-dump run`: runs a function and prints its results.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run a function of a program on given or random inputs.")

  @OptionGroup var source: SourceOptions
  @OptionGroup var inputs: InputOptions
  @OptionGroup var passes: PassOptions
  @Option(help: "What runs it: \(CompileTarget.allCases.map(\.rawValue).joined(separator: ", ")).")
  var backend: CompileTarget = .interpreter
  @Option(help: ArgumentHelp("Let the interpreter run the program as it is after this pass.", valueName: "pass"))
  var after: String?
  @Option(help: ArgumentHelp("Elements shown of each result.", valueName: "n"))
  var elements = 16

  func run() throws {
    let (module, entry) = try source.module()
    let results = try after == nil ? compiled(module, entry) : interpreted(module, entry)
    for (name, literal) in results {
      let shown = literal.doubles.prefix(max(0, elements)).map { literal.type.dtype.isFloat ? "\($0)" : "\(Int64($0))" }
      let rest = literal.heldCount > shown.count ? ", …" : ""
      print("\(name): \(literal.type) = [\(shown.joined(separator: ", "))\(rest)]")
    }
  }

  private func compiled(_ module: Module, _ entry: String) throws -> [(String, Literal)] {
    if passes.passPipeline != nil { throw ValidationError("--pass-pipeline wants --after: a backend has its own pipeline") }
    _ = try passes.passes
    let options = CompileOptions(without: Set(passes.without), rewriteLimit: passes.rewriteLimit, verifiesEach: true)
    let executable = try compile(module, entry: entry, for: backend, options: options)
    let function = executable.function
    for (number, tensor) in try inputs.tensors(for: function).enumerated() { try executable.write(tensor, to: number) }
    try executable.run()
    return try function.results.indices.map { (Self.name($0, of: function), try executable.result($0).literal) }
  }

  private func interpreted(_ module: Module, _ entry: String) throws -> [(String, Literal)] {
    let steps = try passes.steps(of: module)
    let stage = try steps.module(after: after)
    guard let function = stage.function(named: entry) else { throw Diagnostic("there is no function @\(entry)") }
    let results = try Interpreter(stage).run(function, inputs.tensors(for: function).map(\.literal))
    return results.enumerated().map { (Self.name($0, of: function), $1) }
  }

  private static func name(_ number: Int, of function: Function) -> String {
    let name = function.resultNames.indices.contains(number) ? function.resultNames[number] : ""
    return "%" + (name.isEmpty ? String(number) : name)
  }
}

extension Literal {
  fileprivate var heldCount: Int { type.heldCount }
}

extension CompileTarget: ExpressibleByArgument {}
