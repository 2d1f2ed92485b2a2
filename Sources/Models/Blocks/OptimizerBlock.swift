import DSL
import IR
import Ops
import Runtime

/// Several steps of AdamW with given gradients: the parameters after the last.
///
/// The gradient of a table may be given by rows, of which several may have one number.
struct OptimizerBlock: Architecture {
  private let optimizer: AdamW
  private let steps: Int
  private let parameters: [Parameter]

  init(_ fields: inout Fields, _ optimizer: AdamW) throws(Diagnostic) {
    self.optimizer = optimizer
    steps = try fields.int("steps", in: 0...1000)
    let listed = try fields.required("parameters")
    var parameters: [Parameter] = []
    for member in try listed.object().members {
      var shape: [Int] = []
      for extent in try member.value.array() {
        let extent = try extent.int()
        guard (1...Fields.largest).contains(extent) else {
          throw Diagnostic("'\(member.key)' wants positive extents, got \(extent)", at: member.location)
        }
        shape.append(extent)
      }
      parameters.append(
        Parameter(
          member.key, shape, .zeros, decays: ParameterNames.decays(member.key),
          isTable: ParameterNames.isTable(member.key)))
    }
    self.parameters = parameters
  }

  var inputs: [ProgramInput] {
    (0..<steps).flatMap { step in
      parameters.flatMap { parameter in
        let shape = parameter.type.shape
        let (suffix, count) = ("\(step).\(parameter.name)", ProgramInput.Axis.free("K of step \(step) of \(parameter.name)"))
        let dense = ProgramInput("gradients.\(suffix)", .f32, shape.map { .fixed($0) }, isOptional: true)
        guard shape.count == 2 else { return [dense] }
        return [
          dense, ProgramInput("rows.\(suffix)", .i64, [count], isOptional: true),
          ProgramInput("row_gradients.\(suffix)", .f32, [count, .fixed(shape[1])], isOptional: true),
        ]
      }
    }
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    var states = parameters.map { parameter in
      AdamW.State(value: trace[parameter], moments: optimizer.moments(of: parameter).map { trace.constant(0, $0) })
    }
    for step in 0..<steps {
      var entries: [(parameter: Parameter, state: AdamW.State, gradient: Tensor)] = []
      for (parameter, state) in zip(parameters, states) {
        guard let gradient = gradient(of: parameter, step, inputs, trace) else { return [] }
        entries.append((parameter, state, gradient))
      }
      states = optimizer.update(entries, step: trace.constant(Double(step), .i64()))
    }
    return zip(parameters, states).map { ($0.name, $1.value) }
  }

  private func gradient(
    of parameter: Parameter, _ step: Int, _ inputs: [String: Tensor], _ trace: Trace
  ) -> Tensor? {
    let suffix = "\(step).\(parameter.name)"
    if let ids = inputs["rows.\(suffix)"], let values = inputs["row_gradients.\(suffix)"] {
      return trace.emit(MakeRows(rows: parameter.type.shape[0]), ids, values)
    }
    guard let gradient = inputs["gradients.\(suffix)"] else {
      trace.fail("wants an input 'gradients.\(suffix)', or 'rows.\(suffix)' with 'row_gradients.\(suffix)'")
      return nil
    }
    return gradient
  }
}
