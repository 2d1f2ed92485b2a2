import Compiler
import DSL
import IR
import Runtime

/// A program worth measuring.
struct Workload: Sendable {
  let name: String
  let summary: String
  /// What machine its sizes are for.
  var scale = Scale.processor
  /// What products of matrices are computed in.
  var precision = Precision.f32
  /// What shows that it computes the right thing.
  let evidence: Evidence
  /// Traces the program in some size, and differentiates it where that belongs to it.
  let program: @Sendable (Size) throws(Diagnostic) -> WorkloadProgram

  enum Scale: Sendable {
    case processor, gpu
  }

  /// How large a workload is: its own sizes, or small ones, with which any device is done in a moment.
  enum Size: Sendable {
    case whole, small

    func callAsFunction(_ whole: Int, small: Int) -> Int { self == .whole ? whole : small }
  }

  enum Evidence: Sendable {
    /// All results of one run.
    case results
    /// The result `loss` of the first runs of a training step.
    case losses(Int)
    /// Some results of the last of so many runs.
    case steps(Int, results: [String])
  }

  /// Every workload, by name. A new one is a file in `Workloads` and its place here.
  static let all: [Workload] = [
    .bagForward, .bagStep, .evenExperts, .skewedExperts, .hyperConnectionBoundary, .hyperConnectionBoundaryGradient,
    .hyperConnectionForward, .hyperConnectionTrain, .largeHyperModelStep, .largePlainModelStep, .hyperModelStep,
    .plainModelStep, .overEncodingStep, .productKeyForward, .productKeyLookup, .productKeyTrain, .raceForward, .raceTrain,
    .topK, .ultraMemoryForward,
  ]
}

/// A function to run, and what it starts from.
struct WorkloadProgram: Sendable {
  let function: Function
  /// The tensors of the model, which say how they start.
  let parameters: [Parameter]
  /// Inputs of integers are below this.
  let vocabulary: Int
  /// Parameters of the function that hold other integers in every run.
  var renewed: [String] = []

  /// The least a run moves, where that is not each parameter and result of the function once.
  var leastTraffic: Int?
  var leastBytes: Int { leastTraffic ?? (function.parameters + function.results).reduce(0) { $0 + function.type(of: $1).bytes } }

  /// How many different values a renewed parameter takes, one after the other.
  static let batches = 64

  /// The values of the renewed parameters, run by run: from the file, where they are `batches/NAME` with one more axis, or
  /// made up.
  func renewals(from file: TensorFile?) throws(Diagnostic) -> [(parameter: Int, values: [HostTensor])] {
    var renewals: [(parameter: Int, values: [HostTensor])] = []
    for (number, parameter) in function.parameters.enumerated() where renewed.contains(function.name(of: parameter)) {
      let type = function.type(of: parameter)
      let name = "batches/" + function.name(of: parameter)
      var integers: [Int64]
      if let file {
        let given = file.entry(name)?.shape.first ?? 0
        integers = try file.tensor(name, as: TensorType(type.dtype, [given] + type.shape)).integers
      } else {
        var random = SplitMix64(seed: UInt64(number))
        integers = (0..<type.count * Self.batches).map { _ in Int64(random.next() % UInt64(vocabulary)) }
      }
      var values: [HostTensor] = []
      for start in stride(from: 0, to: integers.count, by: max(1, type.count)) {
        values.append(try HostTensor(type, integers: Array(integers[start..<start + type.count])))
      }
      renewals.append((number, values))
    }
    return renewals
  }

  /// The value of a parameter of the function: from the file, or made up in the same way every time.
  func value(of number: Int, from file: TensorFile?) throws(Diagnostic) -> HostTensor {
    let name = function.name(of: function.parameters[number])
    let type = function.type(of: function.parameters[number])
    if let file, file.entry(name) != nil { return try file.tensor(name, as: type) }
    if name.hasPrefix("state/") { return try HostTensor(zeros: type) }
    if let file, !name.hasPrefix("state/") { throw Diagnostic("\(file.path): there is no tensor '\(name)' \(type)") }
    if let parameter = parameters.first(where: { "param/" + $0.name == name }) {
      switch parameter.initialValues(seed: 0) {
      case .floats(let values): return try HostTensor(type, doubles: values.map(Double.init))
      case .integers(let values): return try HostTensor(type, integers: values)
      }
    }
    if type.dtype.isFloat { return try .random(type, seed: UInt64(number)) }
    var random = SplitMix64(seed: UInt64(number))
    return try HostTensor(type, integers: (0..<type.count).map { _ in Int64(random.next() % UInt64(vocabulary)) })
  }
}
