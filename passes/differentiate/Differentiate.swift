import IR
import Ops
import Rewriting

/// What a gradient starts from.
public enum GradientSeed: Sendable {
  /// One scalar result.
  case loss(result: Int)
  /// Results, each with a parameter `cotangent/NAME` that is added: the scalar is the sum of their products.
  case cotangents(results: [Int])
}

extension Function {
  /// The function with gradients with respect to some parameters as further results, after its own, in their order;
  /// reverse mode. A parameter the seed does not depend on has a gradient of zeros; a table read only by gathers has a
  /// row-sparse one.
  ///
  /// Each operation's `gradient` says how a gradient passes through it; where a value is read more than once, what
  /// comes back is added in the reverse order of the readers.
  ///
  /// - Parameter checkpoints: if given, the backward pass keeps these of the large values that follow cheaply from
  ///   others, and computes the rest again.
  public func differentiated(
    named name: String, from seed: GradientSeed, withRespectTo wanted: [Int], keeping checkpoints: [Value]? = nil
  ) throws(Diagnostic) -> Function {
    var builder = FunctionBuilder(self)
    builder.function.name = name
    var gradients: [Value: Value] = [:]
    switch seed {
    case .loss(let result):
      let loss = results[result]
      let type = self.type(of: loss)
      guard type.count == 1, type.dtype.isFloat, type.rows == nil else {
        throw Diagnostic("a loss is one number, got \(type)")
      }
      gradients[loss] = try builder.emit(Constant(1.0, type))
    case .cotangents(let numbers):
      for number in numbers {
        let result = results[number]
        let label = resultNames.indices.contains(number) ? resultNames[number] : String(number)
        let cotangent = builder.parameter(self.type(of: result), name: "cotangent/\(label)")
        try add(cotangent, to: result, &gradients, &builder)
      }
    }
    // Only what depends on a wanted parameter carries a gradient.
    var isActive = [Bool](repeating: false, count: valueCount)
    for number in wanted { isActive[parameters[number].index] = true }
    for operation in operations where operation.operands.contains(where: { isActive[$0.index] }) {
      for result in operation.results where type(of: result).dtype.isFloat { isActive[result.index] = true }
    }
    var recomputation = checkpoints.map { Recomputation(self, checkpoints: $0) }
    // One builder has the function all the time: a second owner would have it copied with each operation.
    var rules = GradientBuilder(builder: builder)
    builder = FunctionBuilder(name: name)
    for (number, operation) in operations.enumerated().reversed() {
      let upstream = operation.results.map { gradients[$0] }
      guard upstream.contains(where: { $0 != nil }), operation.results.contains(where: { isActive[$0.index] }) else {
        continue
      }
      rules.builder.location = operation.location
      var (operands, results) = (operation.operands, operation.results)
      if let start = upstream.lazy.compactMap({ $0 }).first(where: { rules.type(of: $0).rows == nil }) {
        (operands, results) = try recomputation?.values(of: number, from: start, &rules.builder) ?? (operands, results)
      }
      rules.turn(to: operands, results: results, upstream: upstream)
      for (operand, contribution) in zip(operation.operands, try operation.op.gradient(&rules)) {
        guard let contribution, isActive[operand.index] else { continue }
        try add(contribution, to: operand, &gradients, &rules.builder)
      }
    }
    builder = rules.builder
    builder.location = .unknown
    for number in wanted {
      let parameter = parameters[number]
      if let gradient = gradients[parameter] {
        builder.function.results.append(gradient)
      } else {
        builder.function.results.append(try builder.emit(Constant(0.0, type(of: parameter))))
      }
    }
    if !resultNames.isEmpty {
      builder.function.resultNames = resultNames + wanted.map { "grad/\(self.name(of: parameters[$0]))" }
    }
    builder.function.removeDeadOperations()
    builder.function.compact()
    return builder.function
  }

  private func add(
    _ contribution: Value, to value: Value, _ gradients: inout [Value: Value], _ builder: inout FunctionBuilder
  ) throws(Diagnostic) {
    guard let old = gradients[value] else {
      gradients[value] = contribution
      return
    }
    func dense(_ value: Value) throws(Diagnostic) -> Value {
      builder.function.type(of: value).rows == nil ? value : try builder.emit(Densify(), value)
    }
    let isSparse = [old, contribution].map { builder.function.type(of: $0).rows != nil }
    gradients[value] =
      isSparse == [true, true]
      ? try builder.emit(ConcatenateRows(), old, contribution)
      : try builder.emit(Binary(.add), dense(old), dense(contribution))
  }
}

extension Pass {
  /// Adds, for each function with a scalar float result `loss` (or a single scalar result), its gradient.
  ///
  ///     func @f(%x: f32[4]) -> (%loss: f32[])
  /// ->
  ///     func @f.gradient(%x: f32[4]) -> (%loss: f32[], %grad/x: f32[4])
  public static let differentiate = Pass("differentiate", module: { (module, context) throws(Diagnostic) in
    for function in module.functions {
      let losses = function.results.indices.filter { function.type(of: function.results[$0]) == TensorType(.f32, []) }
      let named = losses.first { function.resultNames.indices.contains($0) && function.resultNames[$0] == "loss" }
      guard let loss = named ?? (losses.count == 1 ? losses.first : nil) else { continue }
      let floats = function.parameters.indices.filter { function.type(of: function.parameters[$0]).dtype.isFloat }
      module.functions.append(
        try function.differentiated(
          named: function.name + ".gradient", from: .loss(result: loss), withRespectTo: floats))
      context.count("differentiated")
    }
  })
}
