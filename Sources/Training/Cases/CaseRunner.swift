import Compiler
import DSL
import IR
import Models
import Passes
import Runtime

/// Answers a golden case: builds its program from the configuration and computes everything the case expects.
public struct CaseRunner {
  public let target: CompileTarget
  public let options: CompileOptions

  public init(_ target: CompileTarget, options: CompileOptions = CompileOptions()) {
    self.target = target
    self.options = options
  }

  /// The result tensors, under the names of the case's expected ones.
  public func run(_ file: CaseFile) throws(Diagnostic) -> [String: HostTensor] {
    let configuration = try Configuration(file.config)
    let program = try Program(configuration)
    let names = file.names(of: .input)
    var inputs: [String: HostTensor] = [:]
    for name in names {
      let value = try file.tensor(.input, name)
      try program.check(value, for: name)
      inputs[ValueNames.input(name)] = value
    }
    for parameter in program.parameters {
      guard let type = file.type(of: .parameter, parameter.name) else {
        throw Diagnostic("\(file.name): the tensor 'param/\(parameter.name)' \(parameter.type) is missing")
      }
      guard type == parameter.type else {
        throw Diagnostic("\(file.name): 'param/\(parameter.name)' is \(type), the model wants \(parameter.type)")
      }
      inputs[ValueNames.parameter(parameter.name)] = try file.tensor(.parameter, parameter.name)
    }
    for name in file.names(of: .parameter) where !program.parameters.contains(where: { $0.name == name }) {
      throw Diagnostic("\(file.name): the model has no tensor '\(name)'")
    }
    if let sampling = configuration.sampling {
      return ["output/sample": try sample(file, program, sampling, inputs)]
    }
    var types: [String: TensorType] = [:]
    for name in names { types[name] = file.type(of: .input, name) }
    let forward = try program.trace(inputs: types)

    var results = try outputs(of: file, program, forward, inputs)
    if let steps = configuration.trainingSteps, let optimizer = configuration.optimizer {
      results["output/losses"] = try losses(program, forward, optimizer, steps, inputs)
    }
    if let count = configuration.generatedTokens {
      let prompt = try file.tensor(.input, "tokens")
      results["output/generated"] = try Generation(program, target, options)
        .greedy(after: prompt, count: count, parameters: inputs)
    }
    return results
  }

  /// The forward outputs and, where the case has cotangents, the gradients.
  private func outputs(
    of file: CaseFile, _ program: Program, _ forward: Function, _ inputs: [String: HostTensor]
  ) throws(Diagnostic) -> [String: HostTensor] {
    let cotangents = file.names(of: .cotangent)
    var function = forward
    var inputs = inputs
    if !cotangents.isEmpty {
      var seeds: [Int] = []
      for name in cotangents {
        guard let number = forward.resultNames.firstIndex(of: name) else {
          throw Diagnostic("\(file.name): there is no output '\(name)' for its cotangent")
        }
        seeds.append(number)
        inputs["cotangent/\(name)"] = try file.tensor(.cotangent, name)
      }
      let trained = Set(program.trained.map { ValueNames.parameter($0.name) })
      let wanted = forward.parameters.indices.filter { number in
        let name = forward.name(of: forward.parameters[number])
        return trained.contains(name) || name.hasPrefix("input/") && forward.type(of: forward.parameters[number]).dtype.isFloat
      }
      function = try forward.streamingAttention().differentiated(
        named: "forward.gradient", from: .cotangents(results: seeds), withRespectTo: Array(wanted)
      ).withDenseResults()
    }
    let executable = try compile(Module(functions: [function]), entry: function.name, for: target, options: options)
    var results: [String: HostTensor] = [:]
    // What a run leaves in the model's buffers is no output.
    for (name, tensor) in try executable.run(inputs) where !name.hasPrefix(ValueNames.parameter("")) {
      results[name.hasPrefix("grad/") ? name : "output/\(name)"] = tensor
    }
    return results
  }

  /// The images that the case's noise becomes.
  private func sample(
    _ file: CaseFile, _ program: Program, _ sampling: DiffusionSampling, _ inputs: [String: HostTensor]
  ) throws(Diagnostic) -> HostTensor {
    let (start, labels) = (try file.tensor(.input, "noise"), try file.tensor(.input, "labels"))
    var tensors: [String: HostTensor] = [:]
    for parameter in program.parameters { tensors[parameter.name] = inputs[ValueNames.parameter(parameter.name)] }
    let sampler = try ImageSampler(
      program, tensors, sampling, batch: labels.type.count, for: target, options: options)
    let noises = sampling.kind == .ddpm ? try file.tensor(.input, "noises") : nil
    return try sampler.sample(from: start, labels: labels) { (step) throws(Diagnostic) in
      guard let noises, noises.type.shape == [sampling.steps] + sampler.type.shape else {
        throw Diagnostic("\(file.name): 'noises' wants \(sampling.steps) times \(sampler.type)")
      }
      return try noises.part(step)
    }
  }

  /// The loss after 0, 1, … `steps` steps on the same batch.
  private func losses(
    _ program: Program, _ forward: Function, _ optimizer: AdamW, _ steps: Int, _ inputs: [String: HostTensor]
  ) throws(Diagnostic) -> HostTensor {
    let step = try program.trainingStep(continuing: program.differentiated(forward), optimizer: optimizer)
    let executable = try compile(Module(functions: [step]), entry: step.name, for: target, options: options)
    for (number, value) in step.parameters.enumerated() {
      if let tensor = inputs[step.name(of: value)] {
        try executable.write(tensor, to: number)
      } else {
        try executable.write(try HostTensor(zeros: step.type(of: value)), to: number)
      }
    }
    guard let loss = executable.resultNumber("loss") else { throw Diagnostic("the program has no 'loss' to train on") }
    var losses: [Double] = []
    for _ in 0...steps {
      try executable.run()
      losses.append(try executable.result(loss).doubles[0])
    }
    return try HostTensor(TensorType(.f32, [losses.count]), doubles: losses)
  }
}

extension Program {
  /// The forward function for some inputs with the gradients of its loss with respect to every trained parameter.
  ///
  /// - Parameter sites: if given, the backward pass keeps the residual state before every so many sites only, and
  ///   computes those between again from what the sublayers gave (mHC, arXiv 2512.24880, section 4.3.2).
  public func differentiated(
    inputs: [String: TensorType], recomputing sites: Int?
  ) throws(Diagnostic) -> Function {
    guard let sites else { return try differentiated(try trace(inputs: inputs, observing: Trace.isHealth)) }
    let suffix = ".\(ConnectionNames.state)"
    var forward = try trace(inputs: inputs) { $0.hasSuffix(suffix) || Trace.isHealth($0) }.streamingAttention()
    let observed = forward.results.indices.filter { forward.resultNames[$0].hasSuffix(suffix) }
    let checkpoints = stride(from: 0, to: observed.count, by: max(1, sites)).map { forward.results[observed[$0]] }
    forward.keepResults { name, _ in !name.hasSuffix(suffix) }
    return try differentiated(forward, keeping: checkpoints)
  }

  /// The forward function with the gradients of its loss with respect to every trained parameter.
  public func differentiated(_ forward: Function, keeping checkpoints: [Value]? = nil) throws(Diagnostic) -> Function {
    guard let loss = forward.resultNames.firstIndex(of: "loss") else {
      throw Diagnostic("the program has no 'loss': training needs targets")
    }
    // What shall be kept names values of the function as it is.
    let forward = checkpoints == nil ? try forward.streamingAttention() : forward
    let trained = Set(trained.map { ValueNames.parameter($0.name) })
    let wanted = forward.parameters.indices.filter { trained.contains(forward.name(of: forward.parameters[$0])) }
    return try forward.differentiated(
      named: "forward.gradient", from: .loss(result: loss), withRespectTo: Array(wanted), keeping: checkpoints)
  }
}
