import DSL
import IR
import Models

extension Function {
  /// The function with a step of an optimizer for some tables, whose gradients it has; all other results stay.
  func stepped(_ tables: [Parameter], _ optimizer: AdamW) throws(Diagnostic) -> Function {
    let trace = Trace(continuing: self)
    func value(_ name: String) -> Tensor {
      let known = parameters.first { self.name(of: $0) == name }
      let result = zip(resultNames, self.results).first { $0.0 == name }
      guard let value = known ?? result?.1 else { preconditionFailure("the gradient has '\(name)'") }
      return trace.tensor(value)
    }
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
    for name in resultNames where !tables.contains(where: { "grad/param/" + $0.name == name }) {
      results.append((name, value(name)))
    }
    var step = try trace.finish(results)
    for (number, parameter) in step.parameters.enumerated() {
      step.donations[number] = step.resultNames.firstIndex(of: step.name(of: parameter))
    }
    return step
  }
}
