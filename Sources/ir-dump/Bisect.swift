import ArgumentParser
import Compiler
import IR
import Passes
import Rewriting
import Runtime

/// `ir-dump bisect`: finds the pass, and the rewrite in it, that changes what a program computes.
struct Bisect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Find the first pass and rewrite after which a program computes something else.",
    discussion: "Ends with code 2 if one is found; the program before and after it goes to standard output.")

  @OptionGroup var source: SourceOptions
  @OptionGroup var inputs: InputOptions
  @OptionGroup var passes: PassOptions
  @Option(help: ArgumentHelp("How far results may part, as a share of the largest element.", valueName: "number"))
  var tolerance = 1e-5

  func run() throws {
    let (module, entry) = try source.module()
    guard let function = module.function(named: entry) else { throw Diagnostic("there is no function @\(entry)") }
    let bisection = try Bisection(
      of: module, entry: entry, through: passes.passes, inputs: inputs.tensors(for: function).map(\.literal),
      tolerance: tolerance)
    for name in bisection.checked { printNote("\(name): fine") }
    guard let finding = bisection.finding else {
      printNote("no pass changes what @\(entry) computes")
      return
    }
    let place = finding.rewrite.map { "rewrite \($0) of '\(finding.pass)'" } ?? "'\(finding.pass)'"
    printNote("\(place): \(finding.problem)")
    print("// before \(place)\n\(finding.before.text())\n// after \(place)\n\(finding.after.text())", terminator: "")
    throw ExitCode(2)
  }
}
