import IR
import Ops
import Runtime
import TestSupport
import Testing

/// The results of an op, which its reference and its kernel agree on.
func apply(_ op: any TensorOp, _ operands: Literal..., place: SourceLocation = #_sourceLocation) throws -> [Literal] {
  let types = operands.map(\.type)
  let results = try op.infer(types)
  let wanted = op.reference(operands)
  #expect(wanted.map(\.type) == results, sourceLocation: place)
  if let kernel = FormulaKernel.kernel(of: op, types, results: results) {
    let got = try KernelInterpreter.run(kernel, inputs: operands, resultTypes: results)
    for (got, wanted) in zip(got, wanted) {
      #expect(got.difference(from: wanted) <= 1e-12, "\(op.name): \(got.doubles), not \(wanted.doubles)", sourceLocation: place)
    }
  }
  return wanted
}

extension Literal {
  static func floats(_ values: Double...) -> Literal { Literal(.f32(values.count), floats: values) }
  static func longs(_ values: Int64...) -> Literal { Literal(.i64(values.count), integers: values) }
  static func ints(_ values: Int64...) -> Literal { Literal(TensorType(.i32, [values.count]), integers: values) }
  static func bytes(_ values: Int64...) -> Literal { Literal(TensorType(.u8, [values.count]), integers: values) }
}

func run(_ function: Function, _ arguments: Literal...) throws -> [Literal] {
  try Interpreter(Module()).run(function, arguments)
}
