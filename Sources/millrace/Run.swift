import ArgumentParser
import Compiler
import IR
import Runtime
import Training

/// `millrace run`: runs a model once on the tensors of a file.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a model on the tensors of a file.",
    discussion: """
      A language model takes 'tokens' i64[B, T] and gives 'logits'; with 'targets' i64[B, T] it gives 'loss' too, and \
      with --gradients the gradient of the loss with respect to every trained parameter as 'grad/param/NAME'. A diffusion \
      transformer takes 'latents', 'timesteps' and 'labels' and gives 'prediction', with 'target' the 'loss'.
      """)

  @Argument(help: "A model's folder, or a training run's: its newest checkpoint is taken.")
  var model: String
  @Option(help: ArgumentHelp("The inputs, a safetensors file.", valueName: "file"))
  var inputs: String
  @Option(help: ArgumentHelp("Where the outputs go, as a safetensors file.", valueName: "file"))
  var outputs: String
  @Flag(help: "Compute the gradients of the loss as well.")
  var gradients = false
  @OptionGroup var machine: MachineOptions

  func run() throws {
    let directory = try ModelDirectory(model)
    let results = try directory.run(
      inputs: try TensorFile(inputs), gradients: gradients, for: machine.backend, options: machine.compileOptions)
    try TensorFile.write(results, to: outputs)
    for (name, tensor) in results.sorted(by: { $0.key < $1.key }) where !name.hasPrefix("grad/") {
      print(tensor.type.rank == 0 ? "\(name) = \(tensor.doubles[0])" : "\(name) \(tensor.type)")
    }
  }
}
