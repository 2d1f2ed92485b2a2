import DSL
import IR
import Passes

// One site with dynamic hyper-connections, as the paper writes it, around a LayerNorm.

extension Workload {
  static let hyperConnectionForward = Workload(
    name: "hc-forward", summary: "one dynamic hyper-connection site, [2048, 4, 1024]", evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "hc_forward")
    let h = hyperConnectionSite(trace, size)
    return WorkloadProgram(function: try trace.finish([("h", h)]), parameters: trace.parameters, vocabulary: 1)
  }

  static let hyperConnectionTrain = Workload(
    name: "hc-train", summary: "the same, and the gradients of its mean square", evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "hc_train")
    let loss = hyperConnectionSite(trace, size).squared().mean()
    let forward = try trace.finish([("loss", loss)])
    let wanted = ["input/h", "param/alpha", "param/beta", "param/alpha_weight", "param/beta_weight"]
    let numbers = forward.parameters.indices.filter { wanted.contains(forward.name(of: forward.parameters[$0])) }
    let function = try forward.differentiated(
      named: "hc_train", from: .loss(result: 0), withRespectTo: Array(numbers))
    return WorkloadProgram(function: function, parameters: trace.parameters, vocabulary: 1)
  }

  private static func hyperConnectionSite(_ trace: Trace, _ size: Size) -> Tensor {
    let width = size(1024, small: 32)
    let site = HyperConnected(streams: 4) {
      LayerNorm(width, affine: false)
    }
    return site(trace.input("input/h", .f32(size(2048, small: 64), 4, width)))
  }
}
