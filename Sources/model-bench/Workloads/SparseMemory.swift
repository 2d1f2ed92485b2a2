import DSL
import IR
import Passes

// Memories with a table of 2²⁰ rows of 256, four heads and 32 winners for each of 2048 positions.

extension Workload {
  static let productKeyForward = Workload(
    name: "pkm-forward", summary: "product-key look-up, 2048 queries of 4 heads, 1,048,576 × 256 values",
    evidence: .results
  ) { () throws(Diagnostic) in
    let trace = Trace(name: "pkm_forward")
    let y = productKeyLookup(trace)
    return WorkloadProgram(function: try trace.finish([("y", y)]), parameters: trace.parameters, vocabulary: 1)
  }

  static let productKeyTrain = Workload(
    name: "pkm-train", summary: "the same, and the gradients of its mean square; that of the values is row-sparse",
    evidence: .results
  ) { () throws(Diagnostic) in
    let trace = Trace(name: "pkm_train")
    let loss = productKeyLookup(trace).squared().mean()
    let forward = try trace.finish([("loss", loss)])
    let function = try forward.differentiated(
      named: "pkm_train", from: .loss(result: 0), withRespectTo: Array(forward.parameters.indices))
    return WorkloadProgram(function: function, parameters: trace.parameters, vocabulary: 1)
  }

  static let ultraMemoryForward = Workload(
    name: "ultramem-forward", summary: "UltraMem layer on the same table: rank 2, 2 cores, 4 virtual blocks",
    evidence: .results
  ) { () throws(Diagnostic) in
    let trace = Trace(name: "ultramem_forward")
    let options = UltraMemoryOptions(
      keys: keys, spread: 2, top: top, heads: heads, keyWidth: 128, valueWidth: 256, rank: 2, cores: 2)
    let memory = UltraMemory("memory", options, refreshes: false)
    let y = memory(trace.input("input/x", .f32(8, 256, 512)))
    var parameters = trace.parameters
    // Without a file of inputs the stored vectors would rank all keys alike.
    for number in parameters.indices where parameters[number].name.hasSuffix("_vector") {
      parameters[number].initial = .constant(0.5.squareRoot())
    }
    return WorkloadProgram(function: try trace.finish([("y", y)]), parameters: parameters, vocabulary: 1)
  }

  private static let (keys, top, heads) = (1024, 32, 4)

  private static func productKeyLookup(_ trace: Trace) -> Tensor {
    let options = ProductKeyOptions(
      keys: keys, top: top, heads: heads, keyWidth: 256, valueWidth: 256, queryBias: false)
    let x = trace.input("input/x", .f32(2048, 512))
    return options.lookUp(x, in: trace[options.values])
  }
}
