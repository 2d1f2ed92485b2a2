import ArgumentParser
import Compiler
import IR

/// `ir-dump explain`: what still passes through memory between kernels, and why.
struct Explain: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Explain which values still pass through memory, and why they were not fused.")

  @OptionGroup var source: SourceOptions
  @OptionGroup var passes: PassOptions
  @Option(help: ArgumentHelp("Values and reasons shown.", valueName: "n"))
  var count = 10

  func run() throws {
    let (module, entry) = try source.module()
    let steps = try passes.steps(of: module)
    print(try Explanation(of: entry, in: steps).text(count: max(0, count)), terminator: "")
  }
}
