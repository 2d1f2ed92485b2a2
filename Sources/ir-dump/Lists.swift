import ArgumentParser
import IR
import Ops
import Passes
import Rewriting

/// `ir-dump passes`: every pass, in the order of the usual pipeline.
struct ListPasses: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "passes", abstract: "List the passes, in the order in which they run.")

  func run() {
    let width = Pipelines.known.map(\.name.count).max() ?? 0
    let usual = Set(Pipelines.all.map(\.name))
    for pass in Pipelines.all + Pipelines.known.filter({ !usual.contains($0.name) }) {
      let name = pass.name.padding(to: width)
      print("\(name)  \(usual.contains(pass.name) ? (pass.isRequired ? "required" : "optional") : "by name only")")
    }
  }
}

/// `ir-dump ops`: every op with applications of it.
struct ListOps: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "ops", abstract: "List the ops, each with its samples as text.")

  @Argument(help: ArgumentHelp("Only the op of this name.", valueName: "op"))
  var name: String?

  func run() throws {
    let names = OpSet.table.names
    if let name, !names.contains(name) { throw Diagnostic("no op is named '\(name)'\(didYouMean(name, among: names))") }
    let samples = OpSet.all.flatMap { $0.samples }
    for name in names where self.name == nil || self.name == name {
      let own = samples.filter { $0.op.name == name }
      for sample in self.name == nil ? Array(own.prefix(1)) : own { print(try line(sample), terminator: "") }
    }
  }

  /// The operation in a function of its own, without the function.
  private func line(_ sample: Sample) throws -> String {
    var builder = FunctionBuilder(name: "f")
    let parameters = sample.operands.enumerated().map { builder.parameter($1, name: "x\($0)") }
    builder.function.results = try builder.emit(sample.op, parameters)
    let lines = builder.function.text().split(separator: "\n").filter { $0.hasPrefix("  %") && $0.contains(" = ") }
    let operands = sample.operands.map(\.description).joined(separator: ", ")
    return lines.map { "\($0.dropFirst(2))    // of \(operands.isEmpty ? "nothing" : operands)\n" }.joined()
  }
}

extension String {
  fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
