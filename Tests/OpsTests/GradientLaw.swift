import IR
import Ops
import Runtime
import TestSupport
import Testing

/// The gradient rule of every op against central differences of its reference, for the loss `Σ result · weight`.
@Suite("gradients of ops") struct GradientLaw {
  /// All ops but those that say that they have no gradient, and the one that withholds it.
  static let differentiable = OpSet.samples.filter { sample in
    sample.operands.contains { $0.dtype.isFloat } && !(sample.op is StopGradient) && !refuses(sample)
  }

  private static func refuses(_ sample: Sample) -> Bool {
    switch sample.op {
    case is RowValues, is DitheredCast, is AttentionGradient: true
    case is ScatterRows: sample.operands[0].dtype.isFloat
    case is MergeRows: sample.operands.count == 2
    default: false
    }
  }

  @Test("an op without a gradient says so", arguments: OpSet.samples.filter(refuses))
  func refusalsAreDiagnostics(sample: Sample) {
    #expect(throws: Diagnostic.self) { try program(sample) }
  }

  /// An op, its results made dense, and the gradients of its operands.
  struct Program {
    var forward: Function
    var backward: Function
    var operandGradients: [Int?]
    var weights: [Literal]
  }

  @Test("gradient agrees with differences", arguments: differentiable)
  func gradientAgreesWithDifferences(sample: Sample) throws {
    let arguments = sample.arguments(seed: 7).map { domain(of: sample.op, $0) }
    let program = try program(sample)
    let gradients = try Interpreter(Module()).run(program.backward, arguments + program.weights)
    for (number, operand) in arguments.enumerated() where operand.type.dtype.isFloat {
      let gradient = program.operandGradients[number].map { gradients[$0] }
      // Differences of 16-bit floats say nothing; that the rule gives operations of the right types has been seen.
      guard (arguments + program.weights).allSatisfy({ !$0.type.dtype.isFloat || $0.type.dtype == .f32 }) else { continue }
      for element in stride(from: 0, to: operand.type.heldCount, by: max(1, operand.type.heldCount / 24)) {
        let step = 1e-6
        let up = try loss(program, arguments, number, element, step)
        let down = try loss(program, arguments, number, element, -step)
        let wanted = (up - down) / (2 * step)
        let got = value(of: gradient, of: operand, element)
        #expect(abs(got - wanted) <= 1e-4 * max(1, abs(wanted)), "\(sample), operand \(number), element \(element): \(got), not \(wanted)")
      }
    }
  }

  /// Arguments for which the op is smooth.
  private func domain(of op: any TensorOp, _ literal: Literal) -> Literal {
    guard literal.type.dtype.isFloat, ["sqrt", "rsqrt", "log", "power"].contains(op.name) else { return literal }
    return Literal(literal.type, floats: literal.doubles.map { abs($0) + 0.5 })
  }

  private func program(_ sample: Sample) throws -> Program {
    var builder = FunctionBuilder(name: "f")
    let operands = sample.operands.map { builder.parameter($0) }
    let results = try builder.emit(sample.op, operands)
    var forward = builder
    forward.function.results = try results.map { try dense($0, &forward) }
    var generator = Seeded(3)
    var upstream: [Value?] = []
    var weights: [Literal] = []
    for result in results {
      let type = builder.function.type(of: result)
      guard type.dtype.isFloat else {
        upstream.append(nil)
        continue
      }
      let weight = Literal.random(type.with(shape: type.shape), using: &generator)
      weights.append(weight)
      upstream.append(builder.parameter(weight.type))
    }
    var gradient = GradientBuilder(operands: operands, results: results, upstream: upstream, builder: builder)
    let gradients = try sample.op.gradient(&gradient)
    #expect(gradients.count == operands.count, "\(sample) has a gradient for each operand or says that there is none")
    builder = gradient.builder
    var places: [Int?] = []
    for (operand, gradient) in zip(operands, gradients) {
      guard let gradient else {
        places.append(nil)
        continue
      }
      let (type, wanted) = (builder.function.type(of: gradient), builder.function.type(of: operand))
      #expect(type.dtype == wanted.dtype && type.shape == wanted.shape, "\(sample): \(type) for \(wanted)")
      places.append(builder.function.results.count)
      builder.function.results.append(try dense(gradient, &builder))
    }
    return Program(forward: forward.function, backward: builder.function, operandGradients: places, weights: weights)
  }

  private func dense(_ value: Value, _ builder: inout FunctionBuilder) throws -> Value {
    builder.function.type(of: value).rows == nil ? value : try builder.emit(Densify(), value)
  }

  private func loss(_ program: Program, _ arguments: [Literal], _ operand: Int, _ element: Int, _ step: Double) throws -> Double {
    var arguments = arguments
    let old = arguments[operand]
    var values = old.doubles
    values[element] += step
    arguments[operand] = Literal(old.type, ids: old.ids, values: values)
    let results = try Interpreter(Module()).run(program.forward, arguments).filter { $0.type.dtype.isFloat }
    return zip(results, program.weights).reduce(0) { sum, pair in
      sum + zip(pair.0.doubles, pair.1.doubles).reduce(0) { $0 + $1.0 * $1.1 }
    }
  }

  /// What a gradient says of an element; of a row-sparse operand, where the element's row stands in the table.
  private func value(of gradient: Literal?, of operand: Literal, _ element: Int) -> Double {
    guard let gradient else { return 0 }
    guard operand.type.rows != nil else { return gradient.doubles[element] }
    let width = operand.type.shape[1]
    let id = operand.ids[element / width]
    let isInside = id >= 0 && id < operand.type.shape[0]
    return isInside ? gradient.doubles[Int(id) * width + element % width] : 0
  }
}
