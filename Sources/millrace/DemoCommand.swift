import ArgumentParser
import Compiler
import IR
import Runtime
import Training

/// `millrace demo`: hyper-connections against plain residuals on real text, in a few minutes.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Train a model with hyper-connections and its plain twin on the same English text.",
    discussion: """
      Prints both loss curves, what a step moves through memory fused and unfused, and a sample of the better model; \
      writes loss.svg, a log of each model and both models to the output folder.
      """)

  @Option(help: ArgumentHelp("A text file (gzip is unpacked), or dict-gcide, Debian's English dictionary.", valueName: "file"))
  var data = TextData.Dictionary.name
  @Option(name: [.customLong("out"), .customLong("output")], help: ArgumentHelp("The folder to write to.", valueName: "folder"))
  var out = "demo-out"
  @Option(help: "The most the whole demo may take; it ends with fewer steps if need be.")
  var minutes = 4.5
  @Option(help: "Training steps of each model.")
  var steps = 1500
  @Option(help: "Windows in a batch.")
  var batch = 8
  @Option(help: "Bytes of a window.")
  var length = 128
  @Option(help: "What initial values and the order of the text follow from.")
  var seed: UInt64 = 1
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try check("minutes", minutes, 0...1e6)
    try check("steps", steps, 1...1 << 30)
    try check("batch", batch, 1...1 << 20)
    try check("length", length, 1...1 << 20)
  }

  func run() throws {
    let demo = Demo(
      Demo.Options(
        data: data, folder: out, steps: steps, minutes: minutes,
        batch: batch, length: length, seed: seed, target: machine.backend,
        compile: machine.compileOptions))
    InterruptFlag.install()
    defer { InterruptFlag.remove() }
    guard try demo.run() else { throw ExitCode(130) }
  }
}
