import Compiler
import DSL
import Foundation
import IR
import Models
import Ops
import Runtime

/// Runs an experiment: every arm with every seed, one after the other, and a report that grows with each.
///
/// A folder holds the report (`README.md`, pictures, `results.jsonl`), the plan, and what runs that are not done have
/// to go on from: who interrupts it and starts it again loses nothing.
public struct Reproduction {
  public struct Options {
    public var folder: String
    public var seeds: Int
    /// What the whole takes at most, if need be with fewer steps.
    public var minutes: Double
    /// Steps of every run, whatever they take; `nil` for the experiment's, if there is time for them.
    public var steps: Int?
    public var target: CompileTarget
    public var compile: CompileOptions
    /// The command as it was given, which every file begins with.
    public var command: String

    public init(
      folder: String, seeds: Int = 3, minutes: Double = 40, steps: Int? = nil,
      target: CompileTarget, compile: CompileOptions = CompileOptions(), command: String
    ) {
      self.folder = folder
      self.seeds = seeds
      self.minutes = minutes
      self.steps = steps
      self.target = target
      self.compile = compile
      self.command = command
    }
  }

  let experiment: Experiment
  let options: Options
  private let output: Terminal
  private let status: Terminal
  private let isInterrupted: () -> Bool

  public init(
    _ experiment: Experiment, _ options: Options, output: Terminal = .standardOutput, status: Terminal = .standardError,
    isInterrupted: @escaping () -> Bool = { InterruptFlag.isSet }
  ) {
    self.experiment = experiment
    self.options = options
    self.output = output
    self.status = status
    self.isInterrupted = isInterrupted
  }

  /// One run: an arm with a seed.
  private struct Job {
    let arm: Experiment.Arm
    let seed: UInt64
    var name: String { "\(arm.name)-seed-\(seed)" }
  }

  /// Batches that a trained model is validated on.
  private static let validationBatches = 32

  private var runsFolder: String { "\(options.folder)/runs" }
  private func folder(of job: Job) -> String { "\(runsFolder)/\(job.name)" }
  private func resultFile(of job: Job) -> String { "\(folder(of: job))/result.json" }

  /// Seed by seed, so that what is there at any time can be compared.
  private var jobs: [Job] {
    (1...options.seeds).flatMap { seed in experiment.arms.map { Job(arm: $0, seed: UInt64(seed)) } }
  }

  /// Does all that is not done yet, and says whether it came to the end.
  public func run() throws(Diagnostic) -> Bool {
    try makeFolder(runsFolder)
    let plan = try plan()
    let jobs = jobs
    let open = jobs.filter { !exists(resultFile(of: $0)) }
    if open.count < jobs.count { status.write("\(jobs.count - open.count) of \(jobs.count) runs are done\n") }
    for (number, job) in open.enumerated() {
      let left = open[number...].reduce(0) { $0 + plan.seconds(of: $1.arm.name) }
      status.write(
        "run \(jobs.count - open.count + number + 1) of \(jobs.count): \(job.arm.title), seed \(job.seed); "
          + "all together about \(Show.duration(left)) left\n")
      guard try run(job, plan) else {
        try report(plan, of: jobs)
        return false
      }
      try report(plan, of: jobs)
    }
    output.write(try report(plan, of: jobs))
    return true
  }

  /// Trains and measures one model; false if it was interrupted.
  private func run(_ job: Job, _ plan: ReproductionPlan) throws(Diagnostic) -> Bool {
    let folder = folder(of: job)
    let configuration = try job.arm.training(plan.steps)
    let source = try experiment.batches(job.seed)
    let trainer: Trainer
    var state: TrainingState?
    if configuration.isDescribed, let newest = Checkpoints(in: folder).newest {
      let checkpoint = try Checkpoint(newest.path)
      state = checkpoint.state
      trainer = try Trainer(
        configuration, on: source, continuing: checkpoint, for: options.target, options: options.compile)
    } else {
      trainer = try Trainer(
        configuration, on: source, averageDecay: job.arm.averageDecay, for: options.target, options: options.compile)
    }
    let everyMinute = max(1, Int(60 / max(1e-4, plan.secondsPerStep[job.arm.name] ?? 1)))
    var training = try TrainingRun(
      trainer, TrainingRun.Plan(steps: plan.steps, checkpointEvery: everyMinute, checkpointsKept: 1), in: folder,
      continuing: state, terminal: status, isInterrupted: isInterrupted)
    guard try training.run() == .finished else { return false }
    try finish(job, trainer)
    for checkpoint in Checkpoints(in: folder).all { removeFolder(checkpoint.path) }
    return true
  }

  /// Measures a model that is trained, and keeps what comes out.
  private func finish(_ job: Job, _ trainer: Trainer) throws(Diagnostic) {
    let log = try JSONLLog.read("\(folder(of: job))/\(TrainingRun.logName)")
    let losses = try log.map { line throws(Diagnostic) in try line.required("loss").double() }
    let last = losses.suffix(max(1, losses.count / 10))
    let measurement = try experiment.measure(job.arm, trainer)
    let seconds = try log.last?.required("seconds").double() ?? 0
    var numbers = measurement.numbers
    numbers[Experiment.Key.training] = last.reduce(0, +) / Double(max(1, last.count))
    numbers[Experiment.Key.validation] = try trainer.validationLoss(batches: Self.validationBatches)
    numbers[Experiment.Key.parameters] = Double(trainer.configuration.program.trained.reduce(0) { $0 + $1.type.count })
    numbers[Experiment.Key.multiplyAdds] = try trainer.configuration.program.multiplyAdds(
      on: trainer.source.types, units: trainer.source.unitsPerBatch)
    numbers[Experiment.Key.milliseconds] = 1000 * seconds / Double(max(1, trainer.step))
    if job.seed == 1 {
      for (file, svg) in measurement.pictures { try write(svg, to: file) }
    }
    let result = RunResult(arm: job.arm.name, seed: job.seed, steps: trainer.step, seconds: seconds, numbers: numbers)
    try AtomicFile.write(result.json.text(pretty: true) + "\n", to: resultFile(of: job))
  }

  /// What is there of the runs that are done.
  private func results(of jobs: [Job]) throws(Diagnostic) -> Results {
    var runs: [RunResult] = []
    var curves: [String: [[Double]]] = [:]
    for job in jobs where exists(resultFile(of: job)) {
      runs.append(try RunResult(try JSON(file: resultFile(of: job))))
      let log = try JSONLLog.read("\(folder(of: job))/\(TrainingRun.logName)")
      let losses = try log.map { line throws(Diagnostic) in try line.required("loss").double() }
      curves[job.arm.name, default: []].append(losses)
    }
    let losses = curves.mapValues { curves in
      let count = curves.map(\.count).min() ?? 0
      return (0..<count).map { step in curves.reduce(0) { $0 + $1[step] } / Double(curves.count) }
    }
    return Results(runs, losses: losses)
  }

  /// Writes the report of what is there, and gives its text.
  @discardableResult
  private func report(_ plan: ReproductionPlan, of jobs: [Job]) throws(Diagnostic) -> String {
    let results = try results(of: jobs)
    let report = ReproductionReport(experiment, results, command: options.command, steps: plan.steps, runs: jobs.count)
    for (file, svg) in report.pictures { try write(svg, to: file) }
    try AtomicFile.write(report.jsonl, to: "\(options.folder)/results.jsonl")
    try AtomicFile.write(report.markdown, to: "\(options.folder)/README.md")
    return report.markdown
  }

  /// Writes a picture, the command first.
  private func write(_ svg: String, to file: String) throws(Diagnostic) {
    try AtomicFile.write("<?\(options.command)?>\n" + svg, to: "\(options.folder)/\(file)")
  }

  // MARK: The plan

  /// The plan that is there, or one by the time that a few steps of every arm take.
  private func plan() throws(Diagnostic) -> ReproductionPlan {
    let file = "\(runsFolder)/plan.json"
    if exists(file) {
      let plan = try ReproductionPlan(try JSON(file: file))
      guard plan.experiment == experiment.name else {
        throw Diagnostic("\(options.folder): holds the experiment '\(plan.experiment)'; choose another folder")
      }
      guard options.steps ?? plan.steps == plan.steps else {
        throw Diagnostic("\(options.folder): was begun with \(plan.steps) steps a run; choose another folder")
      }
      status.write("goes on in \(options.folder), with \(plan.steps) steps a run\n")
      return plan
    }
    var plan = ReproductionPlan(experiment: experiment.name, steps: options.steps ?? experiment.steps)
    status.write(
      "\(experiment.name): \(experiment.arms.count) models, \(options.seeds) seeds; "
        + "a few steps of each to see how long they take\n")
    let clock = ContinuousClock()
    let begin = clock.now
    for arm in experiment.arms {
      let start = clock.now
      let configuration = try arm.training(plan.steps)
      let trainer = try Trainer(
        configuration, on: experiment.batches(1), averageDecay: arm.averageDecay, for: options.target,
        options: options.compile)
      _ = try trainer.advance()
      let compiled = clock.now
      let steps = 4
      for _ in 0..<steps { _ = try trainer.advance() }
      let trained = clock.now
      _ = try experiment.measure(arm, trainer)
      _ = try trainer.validationLoss(batches: Self.validationBatches)
      plan.secondsPerStep[arm.name] = (trained - compiled).inSeconds / Double(steps)
      plan.secondsBeside[arm.name] = ((compiled - start) + (clock.now - trained)).inSeconds
    }
    if options.steps == nil {
      plan.fit(minutes: options.minutes - (clock.now - begin).inSeconds / 60, seeds: options.seeds)
    }
    status.write("\(plan.steps) steps a run, about \(Show.duration(plan.seconds * Double(options.seeds))) in all\n")
    try AtomicFile.write(plan.json.text(pretty: true) + "\n", to: file)
    return plan
  }
}

/// How many steps the runs of an experiment have, and how long they take.
struct ReproductionPlan: Hashable {
  var experiment: String
  var steps: Int
  var secondsPerStep: [String: Double] = [:]
  /// What compiling and measuring take.
  var secondsBeside: [String: Double] = [:]

  init(experiment: String, steps: Int) {
    self.experiment = experiment
    self.steps = steps
  }

  func seconds(of arm: String) -> Double { (secondsBeside[arm] ?? 0) + Double(steps) * (secondsPerStep[arm] ?? 0) }

  /// Of one seed.
  var seconds: Double { secondsPerStep.keys.reduce(0) { $0 + seconds(of: $1) } }

  /// Lowers the steps to what there is time for; a run has at least ten.
  mutating func fit(minutes: Double, seeds: Int) {
    let start = secondsBeside.values.reduce(0, +)
    let step = secondsPerStep.values.reduce(0, +)
    let fitting = (minutes * 60 / Double(max(1, seeds)) - start) / max(step, 1e-9)
    steps = max(10, min(steps, fitting < Double(steps) ? Int(fitting) : steps))
  }

  var json: JSON {
    func object(_ values: [String: Double]) -> JSON {
      var object = JSON.Object()
      for (key, value) in values.sorted(by: { $0.key < $1.key }) { object.set(key, .number(value)) }
      return .object(object)
    }
    return [
      "experiment": .string(experiment), "steps": .integer(steps), "seconds_per_step": object(secondsPerStep),
      "seconds_beside": object(secondsBeside),
    ]
  }

  init(_ json: JSON) throws(Diagnostic) {
    func values(_ key: String) throws(Diagnostic) -> [String: Double] {
      var values: [String: Double] = [:]
      for member in try json.required(key).object().members { values[member.key] = try member.value.double() }
      return values
    }
    experiment = try json.required("experiment").string()
    steps = try json.required("steps").int()
    guard steps > 0 else { throw Diagnostic("a plan wants at least one step, got \(steps)", at: json.location) }
    secondsPerStep = try values("seconds_per_step")
    secondsBeside = try values("seconds_beside")
  }
}

extension Program {
  /// Multiply-adds of the forward pass on inputs of these types, for each of so many tokens, images or facts in them.
  func multiplyAdds(on types: [String: TensorType], units: Int) throws(Diagnostic) -> Double {
    try trace(inputs: types).multiplyAdds / Double(units)
  }
}
