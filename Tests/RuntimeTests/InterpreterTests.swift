import IR
import Runtime
import Testing

/// x + 1, for the tests of the interpreter.
struct Increment: TensorOp {
  var name: String { "increment" }
  static var samples: [Sample] { [] }
  func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try require(operands.count == 1, "takes one operand, got \(operands.count)")
    return operands
  }
  func reference(_ operands: [Literal]) -> [Literal] {
    [Literal(operands[0].type, floats: operands[0].doubles.map { $0 + 1 })]
  }
  func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { g.upstream }
  func lower(_ operands: [TensorType]) -> Lowering { .none }
}

@Suite("interpreter") struct InterpreterTests {
  let type = TensorType.f32(3)
  let place = Location(file: "m.ir", line: 4, column: 2)

  func function(_ name: String, _ ops: [any TensorOp]) throws -> Function {
    var builder = FunctionBuilder(name: name)
    builder.location = place
    var value = builder.parameter(type, name: "x")
    for op in ops { value = try builder.emit(op, value) }
    builder.function.results = [value]
    return builder.function
  }

  @Test("runs ops, regions and kernels in order")
  func runs() throws {
    let double = elementwise(type, inputs: [type]) { load(0, .f32, $0) * .float(2) }
    let region = Region(callee: "twice", rows: 1, parameters: [type], results: [type])
    let launch = Launch(callee: "k", parameters: [type], results: [type])
    let module = Module(
      functions: [
        try function("main", [Increment(), region, launch, Increment()]),
        try function("twice", [Increment(), Increment()]),
      ],
      kernels: [double])
    let input = Literal(type, floats: [0, 1, 2])
    #expect(try Interpreter(module).run("main", [input])[0].doubles == [7, 9, 11])
  }

  func message(_ module: Module, _ inputs: [Literal]) -> String {
    do {
      _ = try Interpreter(module).run("main", inputs)
      return "no error"
    } catch { return "\(error)" }
  }

  @Test("what does not fit is said, with its place")
  func errors() throws {
    let input = Literal.zeros(type)
    let main = try function("main", [Increment()])
    #expect(message(Module(), []) == "error: there is no function @main")
    #expect(message(Module(functions: [main]), []) == "error: @main takes 1 operands, got 0")
    #expect(
      message(Module(functions: [main]), [.zeros(.f32(2))]) == "error: @main wants f32[3] as operand 0, got f32[2]")
    let region = try function("main", [Region(callee: "main", rows: 1, parameters: [type], results: [type])])
    #expect(message(Module(functions: [region]), [input]) == "m.ir:4:2: error: @main calls itself")
    let launch = try function("main", [Launch(callee: "k", parameters: [type], results: [type])])
    #expect(message(Module(functions: [launch]), [input]) == "m.ir:4:2: error: there is no kernel @k")
    let outside = elementwise(type, inputs: [type]) { .load(BufferID(0), .f32, $0 * 2, guard: nil) }
    #expect(
      message(Module(functions: [launch], kernels: [outside]), [input])
        == "m.ir:4:2: error: kernel @k: loads in0[4], which has 3 elements")
    var late = main
    late.operations[0].operands = [Value(1)]
    #expect(message(Module(functions: [late]), [input]) == "m.ir:4:2: error: @main uses value 1 before it is computed")
    late.operations[0].operands = [Value(99)]
    #expect(message(Module(functions: [late]), [input]) == "m.ir:4:2: error: @main uses value 99 before it is computed")
  }
}
