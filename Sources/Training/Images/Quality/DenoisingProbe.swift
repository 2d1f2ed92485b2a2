import Compiler
import DSL
import IR
import Models
import Runtime

/// How well a diffusion transformer tells noise from held-out images, and how it chooses experts for that.
public struct DenoisingReport: Hashable, Sendable {
  /// The mean squared error with batches of many times, as in training, and of one time, as in sampling; a mixture of
  /// experts chooses as it is trained.
  public var mixed, single: Double
  /// The error with batches of one time where a mixture chooses as it is used: by the threshold of an expert race.
  public var used: Double
  /// Experts of a token in use, for every mixture of the network: by time, from little noise to much.
  public var expertsPerToken: [[Double]]

  /// Experts of a token by time, the mean over the network's mixtures.
  public var meanExpertsPerToken: [Double] {
    guard let first = expertsPerToken.first else { return [] }
    return first.indices.map { time in
      expertsPerToken.reduce(0) { $0 + $1[time] } / Double(expertsPerToken.count)
    }
  }
}

/// Asks a diffusion transformer about the same images, times and noise in batches that are put together in different ways.
public struct DenoisingProbe {
  private let batches: ImageBatches
  private let target: CompileTarget
  private let options: CompileOptions

  /// Times between no noise and all, evenly.
  public static let times = 20

  /// Throws if no images are held out.
  public init(
    _ batches: ImageBatches, for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    guard batches.validationBatches > 0 else { throw Diagnostic("\(batches.identity.source): holds no images out") }
    self.batches = batches
    self.target = target
    self.options = options
  }

  /// - Parameters:
  ///   - json: the model's configuration.
  ///   - tensors: its tensors.
  public func report(_ json: JSON, _ tensors: [String: HostTensor]) throws(Diagnostic) -> DenoisingReport {
    let trained = try run(Program(try Configuration(json, mode: .train)), tensors)
    let used = try run(Program(try Configuration(json, mode: .infer)), tensors, isMixed: false)
    return DenoisingReport(
      mixed: trained.mixed, single: trained.single, used: used.single, expertsPerToken: used.expertsPerToken)
  }

  private struct Answer {
    var mixed = 0.0
    var single = 0.0
    var expertsPerToken: [[Double]] = []
  }

  private func run(
    _ program: Program, _ tensors: [String: HostTensor], isMixed: Bool = true
  ) throws(Diagnostic) -> Answer {
    var forward = try program.trace(inputs: batches.types) { $0.hasSuffix(RoutingRecord.chosenName) }
    // Only the loss and the choices are wanted.
    let kept = forward.resultNames.indices.filter { number in
      let name = forward.resultNames[number]
      return name == "loss_diffusion" || name.hasPrefix(ValueNames.observed(""))
    }
    forward.results = kept.map { forward.results[$0] }
    forward.resultNames = kept.map { forward.resultNames[$0] }
    forward.name = "probe"
    let executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    var inputs = [String: HostTensor]()
    for (name, tensor) in tensors { inputs[ValueNames.parameter(name)] = tensor }
    let used = Set(forward.parameters.map { forward.name(of: $0) })
    inputs = inputs.filter { used.contains($0.key) }

    var answer = Answer()
    answer.expertsPerToken = [[Double]](repeating: [], count: kept.count - 1)
    for number in 0..<Self.times {
      for isSingle in isMixed ? [true, false] : [true] {
        let batch = try batches.probe(number, of: Self.times, isMixed: !isSingle)
        for (name, tensor) in batch { inputs[ValueNames.input(name)] = tensor }
        let results = try executable.run(inputs)
        let error = (results["loss_diffusion"]?.doubles.first ?? .nan) / Double(Self.times)
        if isSingle { answer.single += error } else { answer.mixed += error }
        guard isSingle else { continue }
        for (layer, name) in forward.resultNames.filter({ $0 != "loss_diffusion" }).enumerated() {
          guard let chosen = results[name] else { continue }
          let tokens = Double(chosen.type.count / max(1, chosen.type.shape.last ?? 1))
          answer.expertsPerToken[layer].append(chosen.doubles.reduce(0, +) / tokens)
        }
      }
    }
    return answer
  }
}
