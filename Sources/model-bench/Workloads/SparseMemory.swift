import Compiler
import DSL
import IR
import Passes

// Memories with a table of 2²⁰ rows of 256, four heads and 32 winners for each of 2048 positions.

extension Workload {
  static let productKeyForward = Workload(
    name: "pkm-forward", summary: "product-key look-up, 2048 queries of 4 heads, 1,048,576 × 256 values",
    evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "pkm_forward")
    let y = foundByProductKeys(trace, size)
    return WorkloadProgram(function: try trace.finish([("y", y)]), parameters: trace.parameters, vocabulary: 1)
  }

  static let productKeyTrain = Workload(
    name: "pkm-train", summary: "the same, and the gradients of its mean square; that of the values is row-sparse",
    evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "pkm_train")
    let loss = foundByProductKeys(trace, size).squared().mean()
    let forward = try trace.finish([("loss", loss)])
    let function = try forward.differentiated(
      named: "pkm_train", from: .loss(result: 0), withRespectTo: Array(forward.parameters.indices))
    return WorkloadProgram(function: function, parameters: trace.parameters, vocabulary: 1)
  }

  static let ultraMemoryForward = Workload(
    name: "ultramem-forward", summary: "UltraMem layer on the same table: rank 2, 2 cores, 4 virtual blocks",
    evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "ultramem_forward")
    let options = UltraMemoryOptions(
      keys: size(1024, small: 32), spread: 2, top: size(32, small: 4), heads: size(4, small: 2), keyWidth: size(128, small: 16),
      valueWidth: size(256, small: 16), rank: 2, cores: 2)
    let memory = UltraMemory("memory", options, refreshes: false)
    let y = memory(trace.input("input/x", .f32(size(8, small: 2), size(256, small: 6), size(512, small: 24))))
    var parameters = trace.parameters
    // Without a file of inputs the stored vectors would rank all keys alike.
    for number in parameters.indices where parameters[number].name.hasSuffix("_vector") {
      parameters[number].initial = .constant(0.5.squareRoot())
    }
    return WorkloadProgram(function: try trace.finish([("y", y)]), parameters: parameters, vocabulary: 1)
  }

  /// A look-up as above for a GPU: queries are given, the table is bf16.
  static let productKeyLookup = Workload(
    name: "pkm-lookup", summary: "look-up alone, 16,384 queries of 4 heads, the best 32 of 2048² rows of 128 in bf16",
    scale: .gpu, precision: .bf16, evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "pkm_lookup")
    let options = ProductKeyOptions(
      keys: size(2048, small: 32), top: size(32, small: 4), heads: size(4, small: 2), keyWidth: size(256, small: 16),
      valueWidth: size(128, small: 16), queryBias: false)
    let queries = trace.input(
      "input/queries", .f32(size(16384, small: 12), options.heads, 2, options.keyWidth / 2))
    let values = trace.input("input/values", TensorType(.bf16, [options.keys * options.keys, options.valueWidth]))
    let y = options.lookUp(queries: queries, in: values)
    var program = WorkloadProgram(function: try trace.finish([("y", y)]), parameters: trace.parameters, vocabulary: 1)
    // Of the table only the rows that are found.
    let found = y.type.count * options.heads * options.top * DType.bf16.size
    program.leastTraffic = found + queries.type.bytes + y.type.bytes + 2 * options.heads * options.keys * options.keyWidth
    return program
  }

  private static func foundByProductKeys(_ trace: Trace, _ size: Size) -> Tensor {
    let options = ProductKeyOptions(
      keys: size(1024, small: 32), top: size(32, small: 4), heads: size(4, small: 2), keyWidth: size(256, small: 16),
      valueWidth: size(256, small: 16), queryBias: false)
    let x = trace.input("input/x", .f32(size(2048, small: 12), size(512, small: 24)))
    return options.lookUp(x, in: trace[options.values])
  }
}
