import DSL
import IR
import Passes

// The boundary of two sites, as the paper writes it: site l mixes its streams and writes its sublayer's output to them;
// site l + 1 computes its coefficients from the new streams, reads its input from them and normalises it.
//
// Least traffic for each token, in rows of `width`: 2n + 2 forward, 3n + 3 backward.

extension Workload {
  static let hyperConnectionBoundary = Workload(
    name: "hc-boundary", summary: "write of a hyper-connection site and read of the next, [8192, 4, 4096] in bf16",
    scale: .gpu, evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "hc_boundary")
    let function = try trace.finish(boundary(trace, size))
    return WorkloadProgram(function: function, parameters: trace.parameters, vocabulary: 1)
  }

  static let hyperConnectionBoundaryGradient = Workload(
    name: "hc-boundary-grad", summary: "the gradients of it: streams, output, coefficients and weights", scale: .gpu,
    evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "hc_boundary")
    let forward = try trace.finish(boundary(trace, size))
    var function = try forward.differentiated(
      named: "hc_boundary_grad", from: .cotangents(results: Array(forward.results.indices)),
      withRespectTo: Array(forward.parameters.indices))
    function.keepResults { name, _ in name.hasPrefix("grad/") }
    return WorkloadProgram(function: function, parameters: trace.parameters, vocabulary: 1)
  }

  private static func boundary(_ trace: Trace, _ size: Size) -> [(name: String, tensor: Tensor)] {
    let (tokens, streams, width) = (size(8192, small: 64), 4, size(4096, small: 32))
    let h = trace.input("input/h", TensorType(.bf16, [tokens, streams, width])).cast(to: .f32)
    let y = trace.input("input/y", TensorType(.bf16, [tokens, width])).cast(to: .f32)
    let mix = trace.input("input/mix", .f32(tokens, streams, streams))
    let write = trace.input("input/write", .f32(tokens, streams))
    let next = mix.contract(h, "tij,tid->tjd") + write.insertingAxis(-1) * y.insertingAxis(-2)

    let coefficients = HyperConnections(streams: streams).coefficients(of: next, number: 1)
    let u = RMSNorm(width).named("norm")(coefficients.read.contract(next, "ti,tid->td"))
    return [
      ("h", next.cast(to: .bf16)), ("u", u.cast(to: .bf16)), ("mix", coefficients.mix), ("write", coefficients.write),
    ]
  }
}
