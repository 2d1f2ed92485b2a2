import DSL
import IR
import Passes

// A mixture of experts whose pairs of token and expert race for 8192 places, four for each token on average.

extension Workload {
  static let raceForward = Workload(
    name: "race-forward", summary: "expert race, [2048, 384], the best 8192 pairs of 32 experts 384-768-384",
    evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "race_forward")
    let y = expertRace(trace, size)
    return WorkloadProgram(function: try trace.finish([("y", y)]), parameters: trace.parameters, vocabulary: 1)
  }

  static let raceTrain = Workload(
    name: "race-train", summary: "the same, and the gradients of its mean square", evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "race_train")
    let forward = try trace.finish([("loss", expertRace(trace, size).squared().mean())])
    let numbers = forward.parameters.indices.filter { !forward.name(of: forward.parameters[$0]).hasSuffix("threshold") }
    let function = try forward.differentiated(named: "race_train", from: .loss(result: 0), withRespectTo: Array(numbers))
    return WorkloadProgram(function: function, parameters: trace.parameters, vocabulary: 1)
  }

  private static func expertRace(_ trace: Trace, _ size: Size) -> Tensor {
    let (width, experts) = (size(384, small: 24), size(32, small: 4))
    let mixture = Stack {
      MixtureOfExperts(
        router: Router(width, experts: experts, isMLP: false),
        experts: Experts(experts, width: width, hidden: 2 * width, bias: false), top: 4
      ).named("feed_forward")
    }
    return mixture(trace.input("input/x", .f32(1, size(2048, small: 32), width)))
  }
}
