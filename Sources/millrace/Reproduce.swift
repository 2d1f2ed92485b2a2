import ArgumentParser
import Compiler
import IR
import Runtime
import Training

/// `millrace reproduce`: tries the claims of a paper at a small size.
struct Reproduce: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Try what a paper claims, at a size for small machines.",
    discussion: """
      Trains every model of the experiment with every seed, and writes a report with a verdict for each claim \
      (README.md), plots and results.jsonl to the output folder after every run. Interrupted and started again, it goes \
      on where it was.
      """)

  @Argument(help: "The paper: \(Paper.allCases.map(\.rawValue).joined(separator: ", ")).")
  var paper: Paper
  @Option(help: ArgumentHelp("The folder to write to (default: reproduce-PAPER).", valueName: "folder"))
  var out: String?
  @Option(help: "Runs of every model, each with initial values and an order of the data of its own.")
  var seeds = 3
  @Option(help: "About what the whole may take; runs have fewer steps if need be.")
  var minutes = 40.0
  @Option(help: "Steps of every run, however long they take (default: the experiment's, if there is time for them).")
  var steps: Int?
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try check("steps", steps, 10...1 << 40)
    try check("seeds", seeds, 1...1000)
    try check("minutes", minutes, 0...1e6)
  }

  func run() throws {
    InterruptFlag.install()
    defer { InterruptFlag.remove() }
    let reproduction = Reproduction(
      try paper.experiment(),
      Reproduction.Options(
        folder: out ?? "reproduce-\(paper.rawValue)", seeds: seeds, minutes: minutes, steps: steps,
        target: machine.backend, compile: machine.compileOptions, command: command))
    guard try reproduction.run() else {
      Terminal.standardError.write("interrupted; the same command goes on\n")
      throw ExitCode(130)
    }
  }

  /// The command that makes the same report.
  private var command: String {
    let command = "millrace reproduce \(paper.rawValue) --seeds \(seeds)"
    if let steps { return command + " --steps \(steps)" }
    return command + " --minutes " + (minutes == minutes.rounded() ? "\(Int(minutes))" : "\(minutes)")
  }
}

extension Paper: ExpressibleByArgument {}
