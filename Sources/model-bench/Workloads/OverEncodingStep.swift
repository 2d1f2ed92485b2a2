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
  ) { () throws(Diagnostic) in
    let (vocabulary, width) = (32_000, 768)
    let options = OverEncoding.Options(orders: 4, slices: 4, rows: 250_000, base: vocabulary, sliceWidth: 64)
    let layer = OverEncoding(vocabulary: vocabulary, width: width, options)
    let trace = Trace(name: "oe_forward")
    let tokens = trace.input("input/tokens", .i64(1, 4096))
    let rows = zip(layer.tables, layer.rows(of: tokens)).map { table, rows in table(rows) }
    let projection = Parameter("projection.weight", [width, width], .normal(0.02))
    let y = Tensor.concatenated(rows).linear(trace[projection])
    let forward = try trace.finish([("y", y)])
    let trained = forward.parameters.indices.filter { forward.name(of: forward.parameters[$0]).hasPrefix("param/") }
    let gradient = try forward.differentiated(
      named: "oe_train", from: .cotangents(results: [0]), withRespectTo: Array(trained))
    let step = try stepped(gradient, trace.parameters.filter(\.isTable))
    var program = WorkloadProgram(
      function: step, parameters: trace.parameters, vocabulary: vocabulary, renewed: ["input/tokens"])
    // Each row looked up is read for its value, and with its moments read and written; the rest is moved once.
    let looked = options.tables * tokens.type.count * options.sliceWidth * DType.f32.size
    let others = (step.parameters + step.results).map { step.type(of: $0).bytes }.filter { $0 < options.rows }
    program.leastTraffic = 7 * looked + others.reduce(0, +) + 2 * y.type.bytes + 2 * projection.type.bytes
    return program
  }

  /// The function with a step of lazy Adam for some tables, whose gradients it has; all other results stay.
  private static func stepped(_ function: Function, _ tables: [Parameter]) throws(Diagnostic) -> Function {
    let trace = Trace(continuing: function)
    func value(_ name: String) -> Tensor {
      let known = function.parameters.first { function.name(of: $0) == name }
      let result = zip(function.resultNames, function.results).first { $0.0 == name }
      guard let value = known ?? result?.1 else { preconditionFailure("the gradient has '\(name)'") }
      return trace.tensor(value)
    }
    let optimizer = AdamW(beta2: 0.999, lazyTables: true)
    let entries = tables.map { table in
      let moments = optimizer.namedMoments(of: table).map { trace.input($0.name, $0.type) }
      let state = AdamW.State(value: value("param/" + table.name), moments: moments)
      return (parameter: table, state: state, gradient: value("grad/param/" + table.name))
    }
    let done = trace.input("state/step", .i64())
    let states = optimizer.update(entries, step: done)
    var results: [(name: String, tensor: Tensor)] = []
    for (table, state) in zip(tables, states) {
      results.append(("param/" + table.name, state.value))
      results += zip(optimizer.namedMoments(of: table), state.moments).map { ($0.name, $1) }
    }
    results.append(("state/step", done + 1))
    for name in function.resultNames where !tables.contains(where: { "grad/param/" + $0.name == name }) {
      results.append((name, value(name)))
    }
    var step = try trace.finish(results)
    for (number, parameter) in step.parameters.enumerated() {
      step.donations[number] = step.resultNames.firstIndex(of: step.name(of: parameter))
    }
    return step
  }
}
