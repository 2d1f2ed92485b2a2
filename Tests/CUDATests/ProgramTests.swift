import CUDABackend
import Compiler
import IR
import Models
import Ops
import Passes
import Runtime
import TestSupport
import Testing

/// Whole blocks through all passes, forward and backward, as CUDA.
@Suite("programs as CUDA") struct ProgramTests {
  struct Block: Sendable, CustomTestStringConvertible {
    let text: String
    let inputs: [String: TensorType]
    var testDescription: String { text }

    /// The block and its gradient, in all results and parameters that are floats.
    func functions() throws -> [Function] {
      let configuration = try Configuration(
        JSON(parsing: #"{"architecture": "block", "block": \#(text)}"#, file: "block"))
      var forward = try Program(configuration).trace(inputs: inputs)
      forward.name = "forward"
      let floats = forward.parameters.indices.filter { forward.type(of: forward.parameters[$0]).dtype.isFloat }
      let results = forward.results.indices.filter { forward.type(of: forward.results[$0]).dtype.isFloat }
      let gradient = try forward.differentiated(
        named: "gradient", from: .cotangents(results: Array(results)), withRespectTo: Array(floats))
      return [forward, gradient]
    }
  }

  static let blocks = [
    Block(
      text: #"{"kind": "residual-site", "width": 40, "residual": {"kind": "hyper", "rate": 4}}"#,
      inputs: ["streams": .f32(2, 5, 4, 40)]),
    Block(
      text: #"{"kind": "residual-site", "width": 32, "residual": {"kind": "frac", "rate": 4}}"#,
      inputs: ["streams": .f32(2, 5, 4, 8)]),
    Block(text: #"{"kind": "attention", "width": 32, "heads": 4, "kv_heads": 2}"#, inputs: ["x": .f32(2, 9, 32)]),
    Block(text: #"{"kind": "swiglu", "width": 16, "hidden": 40}"#, inputs: ["x": .f32(2, 5, 16)]),
    Block(text: #"{"kind": "cross-entropy"}"#, inputs: ["logits": .f32(2, 4, 41), "targets": .i64(2, 4)]),
  ]

  @Test("emulated, a block computes what it computes as written", arguments: blocks)
  func emulated(block: Block) throws {
    var random = Seeded(11)
    for function in try block.functions() {
      let inputs = function.parameters.map { value in
        Literal.random(function.type(of: value), integersBelow: 4, using: &random)
      }
      let module = Module(functions: [function])
      let wanted = try Interpreter(module).run(function.name, inputs)
      for order in [EmulatedCUDA.ThreadOrder.ascending, .descending] {
        let program = try DeviceProgram(emulated: module, entry: function.name, order: order)
        for (number, input) in inputs.enumerated() { try program.write(HostTensor(input), to: number) }
        try program.run()
        for (number, wanted) in wanted.enumerated() {
          let got = try program.result(number).literal
          #expect(got.difference(from: wanted) < 1e-4, "result \(number) of @\(function.name), \(order)")
        }
      }
    }
  }

  @Test("NVRTC compiles what blocks become", .needsNVRTC, arguments: blocks.prefix(3))
  func compiles(block: Block) throws {
    for function in try block.functions() {
      let lowered = try lower(Module(functions: [function]), entry: function.name)
      let code = try NVRTC.load().compile(lowered.cuda().text, for: .sm90)
      #expect(!code.isEmpty)
    }
  }
}

/// The kernel of every op by itself.
@Suite("ops as CUDA") struct OpTests {
  /// Ops whose samples become one kernel each, in one program; spread in several ways.
  static let cases: [(sample: IR.Sample, kernel: Kernel, inputs: [Literal])] = OpSet.all.flatMap({ $0.samples }).compactMap { sample in
    var builder = FunctionBuilder(name: "op")
    let operands = sample.operands.map { builder.parameter($0) }
    guard let results = try? builder.emit(sample.op, operands) else { return nil }
    builder.function.results = results
    guard let lowered = try? lower(Module(functions: [builder.function]), entry: "op"), lowered.module.kernels.count == 1
    else { return nil }
    let kernel = lowered.module.kernels[0]
    guard kernel.buffers.filter({ $0.role == .input }).count == operands.count else { return nil }
    var random = Seeded(5)
    let inputs = sample.operands.map { Literal.random($0, integersBelow: sample.integersBelow, using: &random) }
    return (sample, kernel, inputs)
  }

  static let spreads = [Spread.usual, .odd, .scratch]

  static let program = Result {
    try EmulatedCUDA.compile(
      cases.flatMap { item in
        try spreads.map { (item.kernel, try mapToThreads(item.kernel, within: $0.limits)) }
      })
  }

  @Test("most ops have a kernel") func count() { #expect(OpTests.cases.count > 100) }

  @Test("emulated, an op computes what the interpreter computes", arguments: cases.indices)
  func emulated(_ number: Int) throws {
    let (op, kernel, inputs) = OpTests.cases[number]
    var sample = Sample(kernel.name, kernel.buffers, kernel.body, inputs: inputs)
    sample.kernel.name = kernel.name
    let wanted = try sample.interpreted()
    for (offset, spread) in OpTests.spreads.enumerated() {
      for order in [EmulatedCUDA.ThreadOrder.ascending, .descending] {
        let got = try sample.emulated(by: OpTests.program.get(), number * OpTests.spreads.count + offset, order: order)
        for (got, wanted) in zip(got, wanted) {
          let isNarrow = wanted.type.dtype == .bf16 || wanted.type.dtype == .f16
          #expect(got.difference(from: wanted) <= (isNarrow ? 1e-2 : 2e-5), "\(op) \(spread), \(order)")
        }
      }
    }
  }
}
