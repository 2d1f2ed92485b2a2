import Compiler
import DSL
import IR
import Models
import Passes
import Runtime

/// Trains a language model on a text, a step at a time.
///
/// One compiled program is the whole step: forward, backward and optimizer. The weights and moments live in its memory; a
/// step writes the tokens and reads the loss.
public final class Trainer {
  public let configuration: TrainingConfiguration
  public let data: TextData
  public let batch: Int
  public let length: Int
  public let seed: UInt64
  /// Steps done.
  public private(set) var step: Int

  private let target: CompileTarget
  private let options: CompileOptions
  private let executable: any Executable
  private let tokens, targets, loss: Int
  private var validation: Validation?

  /// What a trainer works on at each step.
  public struct Batches: Hashable, Sendable {
    public var batch, length: Int
    public var seed: UInt64
    public init(batch: Int, length: Int, seed: UInt64) {
      self.batch = batch
      self.length = length
      self.seed = seed
    }
  }

  /// A new run, from a model's initial values.
  public convenience init(
    _ configuration: TrainingConfiguration, on data: TextData, _ batches: Batches, for target: CompileTarget,
    options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    try configuration.program.checkMemory(copies: 4)
    let tensors = try configuration.program.initialTensors(seed: batches.seed)
    try self.init(configuration, on: data, batches, tensors: tensors, moments: [:], step: 0, target, options)
  }

  /// A run that goes on from a checkpoint.
  public convenience init(
    _ configuration: TrainingConfiguration, on data: TextData, continuing checkpoint: Checkpoint,
    for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    let state = checkpoint.state
    let identity = data.identity
    guard identity.isSameText(as: state.text) else {
      throw Diagnostic(
        "the checkpoint was trained on '\(state.text.source)' of \(state.text.bytes) bytes; '\(data.source)' of \(identity.bytes) bytes is another text")
    }
    let batches = Batches(batch: state.batch, length: state.length, seed: state.seed)
    try self.init(
      configuration, on: data, batches, tensors: checkpoint.tensors, moments: checkpoint.moments, step: state.step, target,
      options)
  }

  private init(
    _ configuration: TrainingConfiguration, on data: TextData, _ batches: Batches, tensors: [String: HostTensor],
    moments: [String: HostTensor], step: Int, _ target: CompileTarget, _ options: CompileOptions
  ) throws(Diagnostic) {
    try data.check(length: batches.length)
    try Self.check(configuration.program, data)
    self.configuration = configuration
    self.data = data
    (batch, length, seed) = (batches.batch, batches.length, batches.seed)
    (self.target, self.options, self.step) = (target, options, step)
    let type = TensorType(.i64, [batches.batch, batches.length])
    let program = configuration.program
    let forward = try program.trace(inputs: ["tokens": type, "targets": type])
    let function = try program.trainingStep(
      continuing: program.differentiated(forward), optimizer: configuration.optimizer)
    executable = try compile(Module(functions: [function]), entry: function.name, for: target, options: options)
    guard let tokens = executable.parameterNumber(ValueNames.input("tokens")),
      let targets = executable.parameterNumber(ValueNames.input("targets")), let loss = executable.resultNumber("loss")
    else { throw Diagnostic("only a language model can be trained on text") }
    (self.tokens, self.targets, self.loss) = (tokens, targets, loss)

    var state = moments
    for (name, tensor) in tensors { state[ValueNames.parameter(name)] = tensor }
    state[ValueNames.step] = try HostTensor(.i64(), integers: [Int64(step)])
    for (number, value) in function.parameters.enumerated() where number != tokens && number != targets {
      if let tensor = state[function.name(of: value)] {
        try executable.write(tensor, to: number)
      } else {
        try executable.write(try HostTensor(zeros: function.type(of: value)), to: number)
      }
    }
  }

  /// Throws unless a model takes the ids of a text.
  private static func check(_ program: Program, _ data: TextData) throws(Diagnostic) {
    guard program.inputs.contains(where: { $0.name == "tokens" }), program.inputs.contains(where: { $0.name == "targets" })
    else { throw Diagnostic("only a language model can be trained on text") }
    let table = program.parameters.first { $0.name == "embed.token.weight" }
    if let rows = table?.type.shape.first { try data.check(vocabulary: rows) }
  }

  /// Does a step and gives the loss before it.
  public func advance() throws(Diagnostic) -> Double {
    let windows = try data.batch(step: step, batch: batch, length: length, seed: seed)
    let (inputs, wanted) = try windows.tokensAndTargets()
    try executable.write(inputs, to: tokens)
    try executable.write(wanted, to: targets)
    try executable.run()
    step += 1
    return try executable.result(loss).doubles[0]
  }

  /// Tokens of a step.
  public var tokensPerStep: Int { batch * length }

  /// The learning rate of the coming step.
  public var learningRate: Double { configuration.optimizer.rate.value(after: step) }
}

// MARK: What there is now

extension Trainer {
  /// The model's tensors.
  public func tensors() throws(Diagnostic) -> [String: HostTensor] {
    var tensors: [String: HostTensor] = [:]
    for parameter in configuration.program.parameters {
      tensors[parameter.name] = try value(of: ValueNames.parameter(parameter.name))
    }
    return tensors
  }

  /// All that a run goes on from.
  public func checkpoint(seconds: Double) throws(Diagnostic) -> Checkpoint {
    var moments: [String: HostTensor] = [:]
    for parameter in configuration.program.trained {
      for name in [ValueNames.firstMoment(parameter.name), ValueNames.secondMoment(parameter.name)] {
        moments[name] = try value(of: name)
      }
    }
    let state = TrainingState(
      step: step, batch: batch, length: length, seed: seed, text: data.identity, tokens: data.tokenizer.name,
      seconds: seconds)
    return Checkpoint(
      json: configuration.json, tensors: try tensors(), moments: moments, state: state, tokenizer: data.tokenizer)
  }

  private func value(of name: String) throws(Diagnostic) -> HostTensor {
    guard let number = executable.parameterNumber(name) else {
      preconditionFailure("the training step has a parameter '\(name)'")
    }
    return try executable.parameter(number)
  }

  /// The mean loss over `batches` batches of the validation part, spread over it evenly.
  public func validationLoss(batches: Int) throws(Diagnostic) -> Double {
    let validation: Validation
    if let made = self.validation {
      validation = made
    } else {
      validation = try Validation(configuration.program, batch: batch, length: length, target, options)
      self.validation = validation
    }
    for parameter in configuration.program.parameters {
      let name = ValueNames.parameter(parameter.name)
      try validation.write(try value(of: name), to: name)
    }
    return try validation.loss(on: data, batches: batches)
  }

  /// The step as it is written and as it runs, by the memory they move; `nil` where nothing is compiled.
  public var traffic: (written: Cost, compiled: Cost)? {
    #if LLVM
      guard let program = (executable as? CPUProgram)?.program else { return nil }
      let written = Module(functions: [program.source]).cost(of: program.source)
      return (written, program.module.cost(of: program.function))
    #else
      return nil
    #endif
  }
}

extension HostTensor {
  /// Windows i64[B, T + 1] as inputs and, one place on, what is to follow them.
  func tokensAndTargets() throws(Diagnostic) -> (tokens: HostTensor, targets: HostTensor) {
    return (try columns(from: 0), try columns(from: 1))
  }

  /// All columns but one, from column `first` on.
  private func columns(from first: Int) throws(Diagnostic) -> HostTensor {
    let (rows, columns) = (type.shape[0], type.shape[1])
    return try HostTensor(TensorType(.i64, [rows, columns - 1])) { (memory) throws(Diagnostic) in
      withBytes { bytes in
        let (width, stride) = ((columns - 1) * 8, columns * 8)
        for row in 0..<rows {
          let source = UnsafeRawBufferPointer(rebasing: bytes[(row * stride + first * 8)...].prefix(width))
          UnsafeMutableRawBufferPointer(rebasing: memory[(row * width)...].prefix(width)).copyMemory(from: source)
        }
      }
    }
  }
}
