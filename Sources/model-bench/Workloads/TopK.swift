import DSL
import IR

extension Workload {
  static let topK = Workload(
    name: "topk", summary: "the 32 largest, in order, with places, of 16,384 rows of 1024", evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "top_k")
    let (values, indices) = trace.input("input/x", .f32(size(16384, small: 24), size(1024, small: 200))).top(32)
    let function = try trace.finish([("values", values), ("indices", indices)])
    return WorkloadProgram(function: function, parameters: [], vocabulary: 1)
  }
}
