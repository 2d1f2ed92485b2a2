import ArgumentParser
import Compiler
import Foundation
import IR
import Models
import Runtime
import Training

/// How `millrace sample` makes images.
struct ImageOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Images: the PNG file to write.", valueName: "file"))
  var out = "samples.png"
  @Option(help: "Images: how many of each class.")
  var perClass = 8
  @Option(help: "Images: \(DiffusionSampling.Kind.allCases.map(\.rawValue).joined(separator: ", ")) (default: as the model's objective wants).")
  var sampler: DiffusionSampling.Kind?
  @Option(help: "Images: steps from noise to image (default: the configuration's sampling.steps, or 50).")
  var sampleSteps: Int?
  @Option(help: "Images: the weight of guidance by the class, 1 for none (default: the configuration's, or 1.5).")
  var guidance: Double?
  @Option(
    help: ArgumentHelp(
      "Images: say how good they are, by a classifier trained on these (digits, or a folder).", valueName: "data"))
  var judge: String?

  func validate() throws {
    try check("per-class", perClass, 1...1 << 16)
    try check("sample-steps", sampleSteps, 1...1 << 20)
    try check("guidance", guidance, -1e6...1e6)
  }

  /// Writes a grid of images, a row for each class.
  func run(_ directory: ModelDirectory, seed: UInt64, _ machine: MachineOptions) throws {
    guard let task = directory.program.imageTask else { return }
    let configured = directory.program.configuration.sampling
    let sampling = DiffusionSampling(
      sampler ?? configured?.kind ?? (task.objective.isFlow ? .euler : .ddim),
      steps: sampleSteps ?? configured?.steps ?? 50, guidance: guidance ?? configured?.guidance ?? 1.5,
      guidedChannels: configured?.guidedChannels)
    let grid = try ImageGrid(
      directory.program, directory.tensors, sampling, perClass: perClass, seed: seed, for: machine.backend,
      options: machine.compileOptions)
    try PNG.write(grid.picture(), to: out)
    if let judge {
      let judge = try ImageJudge(try ImageData(judge, for: task), for: machine.backend, options: machine.compileOptions)
      let quality = try judge.judge(grid.images, labels: grid.labels)
      print(String(
        format: "accuracy %.4f (of real images %.4f)  Fréchet distance %.4f", quality.accuracy, judge.heldOutAccuracy,
        quality.frechetDistance))
    }
    Terminal.standardError.write("wrote \(out): \(grid.labels.count) images, a row for each of \(task.classes) classes\n")
  }
}

extension DiffusionSampling.Kind: ExpressibleByArgument {}
