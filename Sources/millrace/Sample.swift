import ArgumentParser
import Compiler
import Foundation
import IR
import Models
import Runtime
import Training

/// `millrace sample`: continues a text with a trained model, or makes images.
struct Sample: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Continue a text with a language model, or make images with a diffusion transformer.",
    discussion: """
      A language model writes the prompt and what follows to standard output as it comes. A diffusion transformer writes \
      a picture with a row of images for each class.
      """)

  @Argument(help: "A model's folder, or a training run's: its newest checkpoint is taken.")
  var model: String
  @Option(help: "The text to continue (default: the start of a line).")
  var prompt: String?
  @Option(help: "Tokens to write (bytes, if the model was trained on them).")
  var length = 400
  @Option(help: "What the logits are divided by; 0 takes the likeliest token.")
  var temperature = 0.8
  @Option(help: "Draw among so many of the likeliest tokens only; 0 for all.")
  var top = 0
  @Option(help: "What the draws follow from.")
  var seed: UInt64 = 1
  @Option(help: ArgumentHelp("Tokens the model looks back on (default: the length it was trained on, or 256).", valueName: "tokens"))
  var context: Int?
  @OptionGroup var images: ImageOptions
  @OptionGroup var machine: MachineOptions

  func validate() throws {
    try check("length", length, 0...1 << 30)
    try check("temperature", temperature, 0...1e6)
    try check("top", top, 0...1 << 30)
    try check("context", context, 1...1 << 20)
  }

  func run() throws {
    let directory = try ModelDirectory(model, mode: .infer)
    if directory.program.imageTask != nil { return try images.run(directory, seed: seed, machine) }
    let tokenizer = try directory.tokenizer()
    let start = prompt.map { Array($0.utf8) } ?? []
    var begin = start
    if start.isEmpty, case .numbers = tokenizer { begin = Array("0".utf8) } else if start.isEmpty { begin = Array("\n".utf8) }
    let window = context ?? directory.trainedLength ?? 256
    let sampler = try TextSampler(
      directory.program, directory.tensors, tokenizer, context: max(1, min(window, begin.count + length)),
      for: machine.backend, options: machine.compileOptions)
    let output = FileHandle.standardOutput
    output.write(Data(start))
    let options = SamplingOptions(temperature: temperature, top: top)
    _ = try sampler.extend(begin, by: length, options, seed: seed) { output.write(Data($0)) }
    output.write(Data("\n".utf8))
  }
}
