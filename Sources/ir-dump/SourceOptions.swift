import ArgumentParser
import Compiler
import Foundation
import IR
import Models
import Ops
import Passes
import Rewriting
import Runtime
import Training

/// What a command works on: a text, or a model that is traced.
struct SourceOptions: ParsableArguments {
  @Argument(help: "A program (.ir), a model's folder, or its config.json.")
  var source: String

  @Option(name: .shortAndLong, help: ArgumentHelp("The function of the program (default: its first).", valueName: "name"))
  var function: String?

  @Option(help: ArgumentHelp("What of a model: forward, gradient or train.", valueName: "what"))
  var program: ModelProgram = .forward

  @Option(
    help: ArgumentHelp(
      "The extent of a model's free axes, such as B=8 (default: 2 for B, 16 for others). Repeatable.", valueName: "axis=n"))
  var axis: [String] = []

  enum ModelProgram: String, ExpressibleByArgument, CaseIterable { case forward, gradient, train }

  /// The program, verified, and the function that is meant.
  func module() throws -> (module: Module, entry: String) {
    let module = try source.hasSuffix(".ir") ? parsed() : Module(functions: [traced()])
    if let function {
      guard let chosen = module.function(named: function) else {
        throw Diagnostic("there is no function @\(function)\(didYouMean(function, among: module.functions.map(\.name)))")
      }
      return (module.reachable(from: chosen), function)
    }
    guard let first = module.functions.first else { throw Diagnostic("\(source): has no function") }
    return (module, first.name)
  }

  private func parsed() throws -> Module {
    let text = try programText(of: String(decoding: readFile(source, limit: 1 << 30), as: UTF8.self))
    let parsed = try ParsedModule(parsing: text, file: source, ops: OpSet.table)
    try parsed.verify()
    return parsed.module
  }

  private func traced() throws -> Function {
    let isFolder = !source.hasSuffix(".json")
    let json = try JSON(file: isFolder ? "\(source)/\(ModelDirectory.configurationName)" : source)
    let model = try Program(try Configuration(json))
    let extents = try self.extents()
    var types: [String: TensorType] = [:]
    for input in model.inputs where !input.isOptional || program != .forward {
      types[input.name] = TensorType(input.dtype, input.axes.compactMap { axis in
        switch axis {
        case .fixed(let extent): extent
        case .free(let name, let least): max(least, extents[name] ?? (name == "B" ? 2 : 16))
        case .anyAxes: nil
        }
      })
    }
    let forward = try model.trace(inputs: types)
    switch program {
    case .forward: return forward
    case .gradient: return try model.differentiated(forward)
    case .train:
      guard let optimizer = model.configuration.optimizer else { throw Diagnostic("\(source): has no optimizer") }
      return try model.trainingStep(continuing: model.differentiated(forward), optimizer: optimizer)
    }
  }

  private func extents() throws -> [String: Int] {
    var extents: [String: Int] = [:]
    for text in axis {
      let parts = text.split(separator: "=")
      guard parts.count == 2, let extent = Int(parts[1]), (1...1 << 24).contains(extent) else {
        throw ValidationError("--axis wants NAME=EXTENT, got '\(text)'")
      }
      extents[String(parts[0])] = extent
    }
    return extents
  }
}

/// Which passes run, and what is seen of them.
struct PassOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Passes to run instead of the usual ones, by name.", valueName: "pass,…"))
  var passPipeline: String?
  @Option(help: "The usual passes for f32, or for bf16 in products and in memory.")
  var precision: Precision = .f32
  @Option(help: ArgumentHelp("An optional pass to leave out. Repeatable.", valueName: "pass"))
  var without: [String] = []
  @Option(help: ArgumentHelp("Rewrites allowed in all passes together.", valueName: "n"))
  var rewriteLimit: Int = .max
  @Flag(name: .customLong("print-ir-after-all"), help: "Print the program after every pass.")
  var printAfterAll = false
  @Flag(name: .customLong("print-ir-after-change"), help: "Print the program after every pass that changed it.")
  var printAfterChange = false
  @Option(name: .customLong("print-ir-after"), help: ArgumentHelp("Print the program after a pass. Repeatable.", valueName: "pass"))
  var printAfter: [String] = []
  @Option(name: .customLong("print-ir-tree-dir"), help: ArgumentHelp("Write the program after each pass to a file here.", valueName: "folder"))
  var treeFolder: String?
  @Flag(help: "Print what each pass took and did.")
  var timing = false

  var passes: [Pass] {
    get throws {
      let chosen = try passPipeline.map { try Pipeline.parse($0, known: Pipelines.known) } ?? precision.passes
      let left = try Set(without.map { try Pipeline.pass(named: $0, known: Pipelines.known) }.map(\.name))
      if let required = chosen.first(where: { left.contains($0.name) && $0.isRequired }), passPipeline == nil {
        throw Diagnostic("the pass '\(required.name)' cannot be left out")
      }
      return chosen.filter { !left.contains($0.name) }
    }
  }

  /// Brings a program through the passes.
  func steps(of module: Module) throws -> Steps {
    let steps = try Steps(of: module, through: passes, observers: observers(), limit: rewriteLimit)
    if timing { printNote(PassManager.Report.table(steps.reports)) }
    return steps
  }

  /// Verification and dumps to standard error; where a pass fails, a file that repeats it.
  func observers() throws -> [any PassObserver] {
    var observers: [any PassObserver] = []
    let write: @Sendable (String) -> Void = { printNote($0) }
    if printAfterAll { observers.append(Dump(.all, to: write)) }
    if printAfterChange { observers.append(Dump(.changed, to: write)) }
    if !printAfter.isEmpty {
      let names = try printAfter.map { try Pipeline.pass(named: $0, known: Pipelines.known).name }
      observers.append(Dump(.named(Set(names)), to: write))
    }
    if let treeFolder {
      observers.append(
        DumpTree { name, text throws(Diagnostic) in
          do {
            try FileManager.default.createDirectory(atPath: treeFolder, withIntermediateDirectories: true)
            try text.write(toFile: "\(treeFolder)/\(name)", atomically: true, encoding: .utf8)
          } catch {
            throw Diagnostic("cannot write \(treeFolder)/\(name): \(error.localizedDescription)")
          }
        })
    }
    observers.append(VerifyEach())
    observers.append(
      Reproducer { name, text in
        guard (try? text.write(toFile: name, atomically: true, encoding: .utf8)) != nil else { return }
        printNote("note: the program before the pass is in \(name); it is a file test")
      })
    return observers
  }
}

extension Precision: ExpressibleByArgument {}
