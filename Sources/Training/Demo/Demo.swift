import Compiler
import DSL
import Foundation
import IR
import Models
import Runtime

/// Trains a small language model with dynamic hyper-connections and its plain-residual twin on the same batches.
///
/// Both start from the same random numbers wherever they have a tensor in common; with hyper-connections, what is written
/// to the streams starts smaller by √n, as the paper has it. They take turns step by step, so that both have seen the
/// same text whenever it ends.
public struct Demo {
  public struct Options {
    /// A text file, or `dict-gcide`.
    public var data: String
    /// Where curves, logs and models go.
    public var folder: String
    public var steps: Int
    /// The whole demo ends within about this time, if need be with fewer steps.
    public var minutes: Double
    /// Windows in a batch, and the bytes of each.
    public var batch, length: Int
    public var seed: UInt64
    public var target: CompileTarget
    public var compile: CompileOptions
    /// Bytes of the sample.
    public var sample: Int

    public init(
      data: String = TextData.Dictionary.name, folder: String = "demo-out", steps: Int = 1500, minutes: Double = 4.5,
      batch: Int = 8, length: Int = 128, seed: UInt64 = 1, target: CompileTarget,
      compile: CompileOptions = CompileOptions(), sample: Int = 400
    ) {
      self.data = data
      self.folder = folder
      self.steps = steps
      self.minutes = minutes
      self.batch = batch
      self.length = length
      self.seed = seed
      self.target = target
      self.compile = compile
      self.sample = sample
    }
  }

  private let options: Options
  private let output: Terminal
  private let status: Terminal
  private let isInterrupted: () -> Bool
  private let start = ContinuousClock.now

  public init(
    _ options: Options, output: Terminal = .standardOutput, status: Terminal = .standardError,
    isInterrupted: @escaping () -> Bool = { InterruptFlag.isSet }
  ) {
    self.options = options
    self.output = output
    self.status = status
    self.isInterrupted = isInterrupted
  }

  /// Seconds that validation, plots and the sample may take at the end.
  private static let reserve = 25.0
  private var seconds: Double { (ContinuousClock.now - start).inSeconds }

  /// Does it all, and says whether it came to its last step.
  public func run() throws(Diagnostic) -> Bool {
    try makeFolder(options.folder)
    let data = try TextData(options.data)
    let source = try TextBatches(data, batch: options.batch, length: options.length, seed: options.seed)
    let size = Show.count(Double(data.training.count))
    status.write("text: \(data.source), \(size) bytes to train on, \(Show.count(Double(data.validation.count))) to validate on\n")
    var steps = options.steps
    var twins = try makeTwins(on: source, steps: steps)
    for twin in twins {
      let parameters = twin.trainer.configuration.program.parameters.reduce(0) { $0 + $1.type.count }
      status.write(
        "\(twin.model.name): \(Show.count(Double(parameters))) parameters, compiled in \(tenths(twin.compileSeconds)) s\n")
    }
    let fitting = try stepsThatFit(twins)
    if fitting < steps {
      status.write("\(fitting) of \(steps) steps fit into \(tenths(options.minutes)) minutes: starts anew for so many\n")
      steps = fitting
      twins = try makeTwins(on: source, steps: steps)
    }
    let finished = try train(twins, steps: steps)
    let validation = try twins.map { (twin) throws(Diagnostic) in try twin.trainer.validationLoss(batches: 16) }
    try plot(twins)
    for (twin, loss) in zip(twins, validation) { output.write(result(of: twin, validation: loss)) }
    output.write(comparison(validation))
    for twin in twins { output.write(traffic(of: twin)) }
    for twin in twins {
      try ModelDirectory.write(
        twin.trainer.configuration.json, try twin.trainer.tensors(), to: "\(options.folder)/\(twin.model.fileName)")
    }
    try sample(validation[1] <= validation[0] ? twins[1] : twins[0])
    output.write(
      "\nIn \(options.folder): loss.svg, \(twins.map { "\($0.model.fileName).jsonl" }.joined(separator: ", ")), and the models "
        + "\(twins.map(\.model.fileName).joined(separator: ", ")). \(Show.duration(seconds)) in all.\n")
    return finished
  }

  private func makeTwins(on source: TextBatches, steps: Int) throws(Diagnostic) -> [DemoTwin] {
    [try DemoTwin(.plain, on: source, steps: steps, options), try DemoTwin(.hyper, on: source, steps: steps, options)]
  }

  /// The steps that there is time for, by the time the first few take; the schedule of learning rates wants to know.
  private func stepsThatFit(_ twins: [DemoTwin]) throws(Diagnostic) -> Int {
    for twin in twins { try twin.advance() }
    let begin = seconds
    let count = min(5, options.steps - 1)
    for _ in 0..<count { for twin in twins { try twin.advance() } }
    guard count > 0 else { return options.steps }
    let left = options.minutes * 60 - Self.reserve - seconds
    let fitting = left / ((seconds - begin) / Double(count))
    return fitting < Double(options.steps) ? max(1, Int(fitting * 0.9)) : options.steps
  }

  /// Trains step by step in turns, from where the twins are; false if it was interrupted.
  private func train(_ twins: [DemoTwin], steps: Int) throws(Diagnostic) -> Bool {
    let begin = twins[0].trainer.step
    var progress = TrainingProgress(total: steps, done: begin, to: status)
    defer { progress.finish() }
    for step in begin..<max(begin, steps) {
      for twin in twins { try twin.advance() }
      let tokens = twins.reduce(0) { $0 + $1.trainer.source.unitsPerBatch }
      let details = [(name: "plain", value: Show.loss(twins[0].losses[step]))]
      progress.advance(to: step + 1, loss: twins[1].losses[step], units: tokens, details: details)
      if isInterrupted() { return false }
      if seconds > options.minutes * 60 - Self.reserve {
        progress.note("\(step + 1) of \(steps) steps fit into \(tenths(options.minutes)) minutes")
        break
      }
    }
    return true
  }

  private func plot(_ twins: [DemoTwin]) throws(Diagnostic) {
    let raw = twins.map { LossPlot.Curve($0.model.name, $0.losses) }
    let title = "Loss in nats per byte"
    try LossPlot(title: title, raw).writeSVG(to: "\(options.folder)/loss.svg")
    let smooth = raw.map { LossPlot.Curve($0.name, LossPlot.smoothed($0.points)) }
    let (width, color) = (min(output.width(), 100), output.usesColor)
    output.write("\n" + LossPlot(title: title, smooth).text(width: width, height: 20, color: color) + "\n")
  }
}

// MARK: What is said in the end

extension Demo {
  private func tenths(_ value: Double) -> String { String(format: "%.1f", value) }

  private func result(of twin: DemoTwin, validation: Double) -> String {
    let name = twin.model.name.padding(toLength: 26, withPad: " ", startingAt: 0)
    return "\(name) training loss \(Show.loss(twin.recentLoss)), validation loss \(Show.loss(validation)), "
      + "\(tenths(twin.stepMilliseconds)) ms a step\n"
  }

  private func comparison(_ validation: [Double]) -> String {
    let gain = validation[0] - validation[1]
    let words = gain >= 0 ? "lower" : "higher"
    return "At equal tokens the loss with hyper-connections is \(Show.loss(abs(gain))) \(words).\n\n"
  }

  /// What a step moves through memory, written operation by operation and as it was fused.
  private func traffic(of twin: DemoTwin) -> String {
    guard let (written, compiled) = twin.trainer.traffic else { return "" }
    let ratio = Double(written.bytes) / Double(max(1, compiled.bytes))
    return "A step of '\(twin.model.name)' \(Cost.change(from: written, to: compiled)): "
      + "\(written.launches) operations became \(compiled.launches) kernels, \(tenths(ratio)) times less memory traffic.\n"
  }

  private func sample(_ twin: DemoTwin) throws(Diagnostic) {
    let sampler = try TextSampler(
      twin.trainer.configuration.program, try twin.trainer.tensors(), context: options.length, for: options.target,
      options: options.compile)
    let start = "Millrace \\Mill\"race`\\, n.\n   "
    let bytes = try sampler.extend(
      Array("\n\n\(start)".utf8), by: options.sample, SamplingOptions(temperature: 0.7, top: 40), seed: options.seed)
    let text = start + String(decoding: bytes, as: UTF8.self)
    output.write("\n'\(twin.model.name)', asked what a millrace is, writes:\n\n\(text)\n")
    try AtomicFile.write(text + "\n", to: "\(options.folder)/sample.txt")
  }
}
