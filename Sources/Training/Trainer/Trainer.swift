import Compiler
import DSL
import IR
import Models
import Passes
import Runtime

/// Trains a model, a step at a time.
///
/// One compiled program is the whole step: forward, backward and optimizer. The weights and moments live in its memory; a
/// step writes the inputs and reads the loss.
public final class Trainer {
  public let configuration: TrainingConfiguration
  public let source: any BatchSource
  /// The share that a running average of the weights keeps of itself in a step; `nil` for no average.
  public let averageDecay: Double?
  /// Steps done.
  public private(set) var step: Int

  let target: CompileTarget
  let options: CompileOptions
  private let executable: any Executable
  private let inputs: [String: Int]
  private let loss: Int
  /// Whether the inputs of the coming step are written, or why they are not.
  private var prepared: Result<Void, Diagnostic>?
  private var validation: Validation?
  private var renewal: BufferRenewal?

  /// A new run, from a model's initial values.
  ///
  /// - Parameters:
  ///   - averageDecay: makes the model that is saved a running average of the weights.
  ///   - sites: residual sites between two states that are kept for the backward pass; `nil` keeps what it needs.
  public convenience init(
    _ configuration: TrainingConfiguration, on source: any BatchSource, averageDecay: Double? = nil,
    recomputing sites: Int? = nil, for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    try configuration.checkMemory(hasAverage: averageDecay != nil)
    let tensors = try configuration.program.initialTensors(seed: source.settings.seed)
    try self.init(
      configuration, on: source, averageDecay, sites, tensors: tensors, moments: [:], step: 0, target, options)
  }

  /// A run that goes on from a checkpoint, on the data and with the settings that it was made with.
  public convenience init(
    _ configuration: TrainingConfiguration, on source: any BatchSource, continuing checkpoint: Checkpoint,
    recomputing sites: Int? = nil, for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    let state = checkpoint.state
    let identity = source.identity
    guard identity.isSame(as: state.data) else {
      let (kept, given) = (state.data, identity)
      throw Diagnostic(
        "the checkpoint was trained on '\(kept.source)' of \(kept.bytes) bytes; "
          + "'\(given.source)' of \(given.bytes) bytes is other data")
    }
    guard source.settings == state.batches else {
      throw Diagnostic("the checkpoint was trained on batches of other settings")
    }
    try self.init(
      configuration, on: source, state.averageDecay, sites, tensors: checkpoint.tensors, moments: checkpoint.moments,
      step: state.step, target, options)
  }

  private init(
    _ configuration: TrainingConfiguration, on source: any BatchSource, _ averageDecay: Double?, _ sites: Int?,
    tensors: [String: HostTensor], moments: [String: HostTensor], step: Int, _ target: CompileTarget,
    _ options: CompileOptions
  ) throws(Diagnostic) {
    try source.check(configuration.program)
    (self.configuration, self.source, self.averageDecay) = (configuration, source, averageDecay)
    (self.target, self.options, self.step) = (target, options, step)
    let program = configuration.program
    let gradient = try program.differentiated(inputs: source.types, recomputing: sites)
    let function = try program.trainingStep(
      continuing: gradient, optimizer: configuration.optimizer, averageDecay: averageDecay)
    executable = try compile(Module(functions: [function]), entry: function.name, for: target, options: options)
    guard let loss = executable.resultNumber("loss") else { throw Diagnostic("the model has no loss to train on") }
    self.loss = loss

    // A running average starts as a copy of the weights.
    var state: [String: HostTensor] = [:]
    for (name, tensor) in tensors {
      state[ValueNames.parameter(name)] = tensor
      state[ValueNames.average(name)] = tensor
    }
    state.merge(moments) { $1 }
    state[ValueNames.step] = try HostTensor(.i64(), integers: [Int64(step)])
    var inputs: [String: Int] = [:]
    for (number, value) in function.parameters.enumerated() {
      let name = function.name(of: value)
      if let input = source.types.keys.first(where: { ValueNames.input($0) == name }) {
        inputs[input] = number
      } else {
        var start = state[name]
        if start == nil { start = try HostTensor(zeros: function.type(of: value)) }
        if let start { try executable.write(start, to: number) }
      }
    }
    self.inputs = inputs
  }

  /// Does a step and gives the loss before it.
  public func advance() throws(Diagnostic) -> Double {
    try (prepared ?? prepare()).get()
    try executable.run()
    step += 1
    // A device of its own is still busy: meanwhile the next batch is made and goes there.
    prepared = target.isAsynchronous ? prepare() : nil
    return try executable.result(loss).doubles[0]
  }

  /// Writes the inputs of the coming step.
  private func prepare() -> Result<Void, Diagnostic> {
    Result { () throws(Diagnostic) in
      for (name, tensor) in try source.batch(step: step) {
        if let number = inputs[name] { try executable.write(tensor, to: number) }
      }
    }
  }

  /// What the last loss is the weighted sum of, by the names that the model gives; empty if there is but one part.
  public func lossParts() throws(Diagnostic) -> [(name: String, value: Double)] {
    let names = executable.function.resultNames
    let parts = names.indices.filter { names[$0].hasPrefix("loss_") }
    guard parts.count > 1 else { return [] }
    return try parts.map { (number) throws(Diagnostic) in (names[number], try executable.result(number).doubles[0]) }
  }

  /// What the model's layers say of how they were doing in the last step, by name: the balance of experts and the like.
  public func health() throws(Diagnostic) -> [(name: String, values: [Double])] {
    let prefix = ValueNames.observed("")
    var health: [(name: String, values: [Double])] = []
    for (number, name) in executable.function.resultNames.enumerated() where name.hasPrefix(prefix) {
      let short = name.dropFirst(prefix.count).replacing("health.", with: "", maxReplacements: 1)
      health.append((String(short), try executable.result(number).doubles))
    }
    return health
  }

  /// The learning rate of the coming step.
  public var learningRate: Double { configuration.optimizer.rate.value(after: step) }

  /// That of tables in the coming step; `nil` if the model has none.
  public var tableLearningRate: Double? {
    let rate = configuration.optimizer.rate
    return configuration.program.trained.contains(where: \.isTable) ? rate.tableValue(after: step) : nil
  }
}

// MARK: What there is now

extension Trainer {
  /// The model's tensors; if there is a running average of the weights, that, and buffers that belong to it.
  public func tensors() throws(Diagnostic) -> [String: HostTensor] {
    var tensors: [String: HostTensor] = [:]
    for parameter in configuration.program.parameters {
      let isAveraged = averageDecay != nil && parameter.isTrained
      let name = isAveraged ? ValueNames.average(parameter.name) : ValueNames.parameter(parameter.name)
      tensors[parameter.name] = try value(of: name)
    }
    guard averageDecay != nil else { return tensors }
    if renewal == nil { renewal = try BufferRenewal(configuration.program, on: source, target, options) }
    return try renewal?.renewed(tensors, configuration.program) ?? tensors
  }

  /// All that a run goes on from.
  public func checkpoint(seconds: Double) throws(Diagnostic) -> Checkpoint {
    var moments: [String: HostTensor] = [:]
    for parameter in configuration.program.parameters {
      for (name, _) in Checkpoint.moments(of: parameter, configuration.optimizer, averageDecay: averageDecay) {
        moments[name] = try value(of: name)
      }
    }
    let state = TrainingState(
      step: step, batches: source.settings, data: source.identity, averageDecay: averageDecay, seconds: seconds)
    return Checkpoint(
      json: configuration.json, tensors: try tensors(), moments: moments, state: state,
      tokenizer: source.tokenizer ?? .bytes, tables: configuration.program.tables)
  }

  private func value(of name: String) throws(Diagnostic) -> HostTensor {
    guard let number = executable.parameterNumber(name) else {
      preconditionFailure("the training step has a parameter '\(name)'")
    }
    return try executable.parameter(number)
  }

  /// The mean loss over `batches` batches of the validation part, spread over it evenly.
  public func validationLoss(batches: Int) throws(Diagnostic) -> Double { try validate(batches: batches).loss }

  /// The same, and how the memories are used.
  public func validate(batches: Int) throws(Diagnostic) -> ValidationReport {
    let validation: Validation
    if let made = self.validation {
      validation = made
    } else {
      validation = try Validation(configuration.program, on: source, target, options)
      self.validation = validation
    }
    try validation.write(try tensors())
    return try validation.measure(batches: batches)
  }

  /// The step as it is written and as it runs, by the memory they move; `nil` where nothing is compiled.
  public var traffic: (written: Cost, compiled: Cost)? {
    guard let program = (executable as? any LoweredExecutable)?.program else { return nil }
    let written = Module(functions: [program.source]).cost(of: program.source)
    return (written, program.module.cost(of: program.function))
  }
}
