import DSL
import IR

/// Names of the values of functions, as programs, passes and files call them.
public enum ValueNames {
  public static func parameter(_ name: String) -> String { "param/\(name)" }
  public static func input(_ name: String) -> String { "input/\(name)" }
  public static func gradient(_ name: String) -> String { "grad/param/\(name)" }
  /// The moments that the optimizer keeps of a parameter: m and v of Adam; where there is only one, it is of squares, v.
  public static func moments(_ name: String, count: Int) -> [String] {
    ["m", "v"].suffix(count).map { "state/\($0)/\(name)" }
  }
  /// A running average of a weight.
  public static func average(_ name: String) -> String { "state/average/\(name)" }
  /// A value inside the model that was asked for.
  public static func observed(_ name: String) -> String { "observed/\(name)" }
  /// The number of steps done: an i64 scalar.
  public static let step = "state/step"
}

extension Program {
  /// The parameters that a training step changes.
  public var trained: [Parameter] { parameters.filter(\.isTrained) }

  /// One program for a whole training step, from a forward function with gradients.
  ///
  ///     (param/*, input/*, state/m/*, state/v/*, state/step)
  ///       -> (param/*, state/m/*, state/v/*, state/step, losses)
  ///
  /// Results that are named like a parameter are its next value and may take over its memory (`donations`).
  ///
  /// With an average, `state/average/*` are taken and given too: with t steps done, the new weights count 1 − rate, where
  /// rate = min(averageDecay, (1 + t) / (10 + t)), so that what a run began with is soon forgotten.
  ///
  /// - Parameter differentiated: a function with the forward outputs and, as `grad/param/NAME`, the gradients of the
  ///   loss; a parameter without one has the gradient zero. Outputs named `param/NAME` are the next values of buffers;
  ///   of the others only the scalars stay, and what was observed.
  public func trainingStep(
    continuing differentiated: Function, optimizer: AdamW, averageDecay: Double? = nil
  ) throws(Diagnostic) -> Function {
    let trace = Trace(continuing: differentiated)
    var values: [String: Tensor] = [:]
    for value in differentiated.parameters { values[differentiated.name(of: value)] = trace.tensor(value) }
    var outputs: [(name: String, tensor: Tensor)] = []
    for (name, value) in zip(differentiated.resultNames, differentiated.results) {
      outputs.append((name, trace.tensor(value)))
    }

    var entries: [(parameter: Parameter, state: AdamW.State, gradient: Tensor)] = []
    for parameter in trained {
      let name = ValueNames.parameter(parameter.name)
      let moments = optimizer.namedMoments(of: parameter).map { trace.input($0.name, $0.type) }
      let state = AdamW.State(value: values[name] ?? trace.input(name, parameter.type), moments: moments)
      let gradient = outputs.first { $0.name == ValueNames.gradient(parameter.name) }?.tensor
      entries.append((parameter, state, gradient ?? state.value.constant(0)))
    }
    let step = trace.input(ValueNames.step, .i64())
    let next = optimizer.update(entries, step: step)

    let states = Array(zip(trained, next))
    var results: [(name: String, tensor: Tensor)] = states.map { (ValueNames.parameter($0.name), $1.value) }
    results += outputs.filter { output in values[output.name] != nil && !results.contains { $0.name == output.name } }
    for (parameter, state) in states {
      results += zip(optimizer.namedMoments(of: parameter), state.moments).map { ($0.name, $1) }
    }
    results.append((ValueNames.step, step + 1))
    if let averageDecay {
      let done = (step + 1).cast(to: .f32)
      let rate = ((done + 1) / (done + 10)).minimum(averageDecay)
      for (parameter, state) in states {
        let name = ValueNames.average(parameter.name)
        let average = trace.input(name, parameter.type)
        let mean = average.cast(to: .f32) * rate + state.value.cast(to: .f32) * (1 - rate)
        results.append((name, mean.cast(to: parameter.type.dtype)))
      }
    }
    results += outputs.filter { output in
      let stays = output.tensor.rank == 0 || output.name.hasPrefix(ValueNames.observed(""))
      return stays && values[output.name] == nil && !output.name.hasPrefix("grad/")
    }

    var function = try trace.finish(results)
    function.name = "train_step"
    function.donations = donations(of: function)
    return function
  }

  /// Every parameter and the result that has its name.
  private func donations(of function: Function) -> [Int: Int] {
    var numbers: [String: Int] = [:]
    for (number, name) in function.resultNames.enumerated() { numbers[name] = number }
    var donations: [Int: Int] = [:]
    for (number, value) in function.parameters.enumerated() {
      if let result = numbers[function.name(of: value)] { donations[number] = result }
    }
    return donations
  }
}

extension AdamW {
  /// The moments of a parameter under the names of the training step.
  public func namedMoments(of parameter: Parameter) -> [(name: String, type: TensorType)] {
    let types = moments(of: parameter)
    return Array(zip(ValueNames.moments(parameter.name, count: types.count), types))
  }
}
