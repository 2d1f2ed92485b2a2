import ArgumentParser
import Compiler
import Foundation
import IR
import Models
import Runtime
import Training

/// `millrace train`: trains a language model on a text, or a diffusion transformer on images.
struct Train: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Train a language model on a text, or a diffusion transformer on images.",
    discussion: """
      Writes checkpoints (step-00000100, …) and log.jsonl to the output folder. A checkpoint is a model's folder with the \
      state of its training; it is there whole or not at all. Interrupted by Ctrl-C or SIGTERM, it finishes the step, \
      saves, and ends with code 130; --resume goes on as if nothing had happened, to the last bit.

      Without a tokenizer every byte is a token. With one, added tokens in the text (<|endoftext|>) become their ids. If \
      the configuration's embedding has a 'boundary', that id ends every document: each file of a folder, or each part \
      of a file before --separator. A file of ids (--ids) is taken as it is, and mapped, so that it may be larger than \
      the memory.

      A diffusion transformer learns from images: digits, 1797 handwritten ones, or a folder with a folder of PNG files \
      for each class. A running average of its weights is what is saved and validated.
      """)

  @Argument(help: "The model's config.json; its key 'optimizer' may be left out.")
  var config: String
  @OptionGroup var text: TextOptions
  @Option(help: ArgumentHelp("The folder of checkpoints and log.", valueName: "folder"))
  var out = "run"
  @Flag(help: "Go on from the newest checkpoint in the output folder, if there is one.")
  var resume = false

  @Option(help: "The step to train to (default: the configuration's training.steps, or 1000).")
  var steps: Int?
  @Option(help: "Windows or images in a batch (default: 8 windows, 64 images).")
  var batch: Int?
  @Option(help: "Tokens of a window (default: 256).")
  var length: Int?
  @Option(help: "A learning rate instead of the configuration's.")
  var learningRate: Double?
  @Option(help: "What initial values and the order of the data follow from (default: 1).")
  var seed: UInt64?
  @Option(
    help: ArgumentHelp(
      "Save a running average of the weights that keeps this share of itself in a step; 0 for none (default: 0.9999 for images, 0 for text).",
      valueName: "share"))
  var average: Double?
  @Option(help: ArgumentHelp("The share of images that are shown without their class (default: 0.1).", valueName: "share"))
  var labelDropout: Double?
  @Option(help: ArgumentHelp("Steps between validations on what is held out, the last twentieth of a text or a tenth of the images; 0 for none.", valueName: "steps"))
  var validateEvery = 100
  @Option(help: ArgumentHelp("Batches of a validation.", valueName: "count"))
  var validationBatches = 16
  @Option(help: ArgumentHelp("Steps between checkpoints; 0 for one at the end only.", valueName: "steps"))
  var checkpointEvery = 500
  @Option(help: ArgumentHelp("Checkpoints to keep.", valueName: "count"))
  var keep = 2
  @Option(help: ArgumentHelp("Keep the residual state for the backward pass only before every so many sublayers; saves memory.", valueName: "sublayers"))
  var recompute: Int?
  @Option(
    help: ArgumentHelp(
      "What tables of rows are stored as: f32, or bf16, whose updates are rounded up or down by chance (default: f32, or the checkpoint's).",
      valueName: "type"))
  var tables: TableType?
  @OptionGroup var machine: MachineOptions

  enum TableType: String, CaseIterable, ExpressibleByArgument {
    case f32, bf16
    var dtype: DType { self == .bf16 ? .bf16 : .f32 }
  }

  func validate() throws {
    try check("steps", steps, 0...1 << 40)
    try check("batch", batch, 1...1 << 20)
    try check("length", length, 1...1 << 20)
    try check("learning-rate", learningRate, 0...1e6)
    try check("average", average, 0...0.999_999_9)
    try check("label-dropout", labelDropout, 0...1)
    try check("validate-every", validateEvery, 0...1 << 40)
    try check("validation-batches", validationBatches, 1...1 << 40)
    try check("checkpoint-every", checkpointEvery, 0...1 << 40)
    try check("keep", keep, 1...1 << 20)
    try check("recompute", recompute, 1...1 << 20)
  }

  func run() throws {
    let run = try prepared()
    InterruptFlag.install()
    defer { InterruptFlag.remove() }
    var current = run
    let end = try current.run()
    let saved = current.lastCheckpoint ?? out
    switch end {
    case .finished: say("saved \(saved)")
    case .interrupted:
      say("interrupted at step \(current.trainer.step), saved \(saved); go on with --resume")
      throw ExitCode(130)
    }
  }

  private func prepared() throws(Diagnostic) -> TrainingRun {
    let json = try JSON(file: config)
    let newest = Checkpoints(in: out).newest
    if let newest, !resume {
      throw Diagnostic("\(out): has checkpoints of another run (\(newest.path)); go on with --resume, or choose another --out")
    }
    let checkpoint = try newest.map { (newest) throws(Diagnostic) in try Checkpoint(newest.path) }
    var steps = 1000
    if let configured = json["training"]?["steps"] { steps = try configured.int() }
    if let given = self.steps { steps = given }
    let configuration = try TrainingConfiguration(
      json, steps: steps, continuing: checkpoint?.json, learningRate: learningRate,
      tables: checkpoint?.tables ?? tables?.dtype ?? .f32)
    for note in configuration.notes { say("note: \(note)") }
    if let checkpoint { try hold(checkpoint.state) }
    let source = try source(for: configuration, continuing: checkpoint)
    let trainer: Trainer
    if let checkpoint {
      trainer = try Trainer(
        configuration, on: source, continuing: checkpoint, recomputing: recompute, for: machine.backend,
        options: machine.compileOptions)
      say("goes on from \(newest?.path ?? out)")
    } else {
      let isImages = configuration.program.imageTask != nil
      let decay = average ?? (isImages ? 0.9999 : 0)
      trainer = try Trainer(
        configuration, on: source, averageDecay: decay > 0 ? decay : nil, recomputing: recompute,
        for: machine.backend, options: machine.compileOptions)
    }
    return try TrainingRun(trainer, plan(steps, source), in: out, continuing: checkpoint?.state)
  }

  /// The batches that the model is trained on.
  private func source(
    for configuration: TrainingConfiguration, continuing checkpoint: Checkpoint?
  ) throws(Diagnostic) -> any BatchSource {
    let kept = checkpoint?.state.batches
    if let task = configuration.program.imageTask {
      guard length == nil else { throw Diagnostic("--length is for text; the model is trained on images") }
      return ImageBatches(
        try ImageData(text.data, for: task), for: task, batch: kept?.batch ?? batch ?? 64, seed: kept?.seed ?? seed ?? 1,
        labelDropout: kept?.labelDropout ?? labelDropout ?? 0.1)
    }
    return try TextBatches(
      text.data(for: configuration.json, continuing: checkpoint), batch: kept?.batch ?? batch ?? 8,
      length: kept?.length ?? length ?? 256, seed: kept?.seed ?? seed ?? 1)
  }

  private func plan(_ steps: Int, _ source: any BatchSource) -> TrainingRun.Plan {
    var every = validateEvery
    if every > 0, source.validationBatches == 0 {
      say("note: too little of '\(text.data)' is left to validate on")
      every = 0
    }
    return TrainingRun.Plan(
      steps: steps, validateEvery: every, validationBatches: validationBatches, checkpointEvery: checkpointEvery,
      checkpointsKept: keep)
  }

  /// Throws if an option says other than the checkpoint does.
  private func hold(_ state: TrainingState) throws(Diagnostic) {
    func hold<T: Equatable>(_ name: String, _ given: T?, _ kept: T?) throws(Diagnostic) {
      if let given, let kept, given != kept {
        throw Diagnostic("the checkpoint was trained with --\(name) \(kept), got \(given); leave it out to go on")
      }
    }
    try hold("batch", batch, state.batches.batch)
    try hold("length", length, state.batches.length)
    try hold("seed", seed, state.batches.seed)
    try hold("label-dropout", labelDropout, state.batches.labelDropout)
    try hold("average", average, state.averageDecay ?? 0)
  }

  private func say(_ text: String) { Terminal.standardError.write(text + "\n") }
}
