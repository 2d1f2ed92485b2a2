import DSL
import IR
import Models
import Passes
import Runtime

// The hashed tables of an over-encoding: lookup and projection, their gradients, and a row-sparse step of Adam.

extension Workload {
  static let overEncodingStep = Workload(
    name: "oe-train", summary: "12 hashed tables of 250,000 rows × 64, 4096 tokens: forward, backward, row-sparse Adam",
    evidence: .steps(3, results: ["y", "grad/param/projection.weight"])
  ) { (size) throws(Diagnostic) in
    let (vocabulary, width) = (size(32_000, small: 200), size(768, small: 48))
    let options = OverEncoding.Options(orders: 4, slices: 4, rows: size(250_000, small: 300), base: vocabulary, sliceWidth: width / 12)
    let layer = OverEncoding(vocabulary: vocabulary, width: width, options)
    let trace = Trace(name: "oe_forward")
    let tokens = trace.input("input/tokens", .i64(1, size(4096, small: 40)))
    let rows = zip(layer.tables, layer.rows(of: tokens)).map { table, rows in table(rows) }
    let projection = Parameter("projection.weight", [width, width], .normal(0.02))
    let y = Tensor.concatenated(rows).linear(trace[projection])
    let forward = try trace.finish([("y", y)])
    let trained = forward.parameters.indices.filter { forward.name(of: forward.parameters[$0]).hasPrefix("param/") }
    let gradient = try forward.differentiated(
      named: "oe_train", from: .cotangents(results: [0]), withRespectTo: Array(trained))
    let step = try gradient.stepped(trace.parameters.filter(\.isTable), AdamW(beta2: 0.999, lazyTables: true))
    var program = WorkloadProgram(
      function: step, parameters: trace.parameters, vocabulary: vocabulary, renewed: ["input/tokens"])
    // Each row looked up is read for its value, and with its moments read and written; the rest is moved once.
    let looked = options.tables * tokens.type.count * options.sliceWidth * DType.f32.size
    let others = (step.parameters + step.results).map { step.type(of: $0).bytes }.filter { $0 < options.rows }
    program.leastTraffic = 7 * looked + others.reduce(0, +) + 2 * y.type.bytes + 2 * projection.type.bytes
    return program
  }
}
