import DSL
import IR
import Models
import Ops
import Passes
import Runtime
import Testing

/// The models against the answers of a reference in double precision, run by the interpreter.
@Suite("golden cases") struct GoldenTests {
  static let names = CaseFile.names(
    "block-", "hyper-", "mhc-", "frac-", "ghc-", "adamw", "over-encoding-", "byte-hash", "engram", "lm-", "pkm", "memory-",
    "ultramem-")

  @Test("outputs and gradients are those of the reference", arguments: names)
  func agreesWithReference(name: String) throws {
    let file = try CaseFile(name)
    let program = try Program(Configuration(file.configuration))
    #expect(Set(program.parameters.map(\.name)) == Set(file.tensors(under: "param/").keys))
    var function = try program.trace(inputs: file.tensors(under: "input/").mapValues(\.type))

    let seeds = function.resultNames.indices.filter { file.tensors["cotangent/" + function.resultNames[$0]] != nil }
    if !seeds.isEmpty {
      let wanted = function.parameters.indices.filter { file.tensors["grad/" + function.name(of: function.parameters[$0])] != nil }
      function = try function.differentiated(named: "gradient", from: .cotangents(results: seeds), withRespectTo: wanted)
    }
    let results = try Interpreter(Module(functions: [function])).run(function, file.arguments(of: function))
    var found: [String: Literal] = [:]
    for (name, result) in zip(function.resultNames, results) {
      found[name.hasPrefix("grad/") ? name : "output/" + name] = result.type.rows == nil ? result : Densify().reference([result])[0]
    }
    for want in file.tensors.keys.sorted() where want.hasPrefix("output/") || want.hasPrefix("grad/") {
      if want == "output/losses" || file.optional.contains(want) { continue }
      let result = try #require(found[want], "\(want) is missing")
      if let complaint = file.complaint(about: want, result) { Issue.record("\(complaint)") }
    }
  }

  @Test("losses fall as those of the reference", arguments: ["lm-residual", "lm-hyper-dynamic-4"])
  func trainsAsReference(name: String) throws {
    let file = try CaseFile(name)
    let configuration = try Configuration(file.configuration)
    guard let steps = configuration.trainingSteps, let optimizer = configuration.optimizer else { return }
    let program = try Program(configuration)
    let forward = try program.trace(inputs: file.tensors(under: "input/").mapValues(\.type))
    let loss = try #require(forward.resultNames.firstIndex(of: "loss"))
    let trained = Set(program.trained.map { "param/" + $0.name })
    let wanted = forward.parameters.indices.filter { trained.contains(forward.name(of: forward.parameters[$0])) }
    let gradient = try forward.differentiated(named: "gradient", from: .loss(result: loss), withRespectTo: wanted)
    let step = try program.trainingStep(continuing: gradient, optimizer: optimizer)

    var state = file.tensors
    var losses: [Double] = []
    for _ in 0...steps {
      let arguments = step.parameters.map { state[step.name(of: $0)] ?? .zeros(step.type(of: $0)) }
      let results = try Interpreter(Module(functions: [step])).run(step, arguments)
      for (name, result) in zip(step.resultNames, results) { state[name] = result }
      losses.append(try #require(state["loss"]).doubles[0])
    }
    let found = Literal(.f32(losses.count), floats: losses)
    if let complaint = file.complaint(about: "output/losses", found) { Issue.record("\(complaint)") }
  }
}

extension CaseFile {
  /// The case's tensors in the order of a function's parameters.
  func arguments(of function: Function) throws -> [Literal] {
    try function.parameters.map { parameter in
      try #require(tensors[function.name(of: parameter)], "the case has no \(function.name(of: parameter))")
    }
  }
}
