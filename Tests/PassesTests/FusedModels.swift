import Compiler
import IR
import Models
import Passes
import Rewriting
import Runtime
import TestSupport
import Testing

/// What the passes make of whole blocks computes what the blocks as written compute.
@Suite("fused models") struct FusedModels {
  struct Case: Sendable, CustomStringConvertible {
    let block: String
    let inputs: [String: TensorType]
    var description: String { block }
  }

  static let cases: [Case] = [
    Case(
      block: #"{"kind": "residual-site", "width": 32, "residual": {"kind": "hyper", "rate": 4}}"#,
      inputs: ["streams": .f32(2, 12, 4, 32)]),
    Case(
      block: #"{"kind": "residual-site", "width": 48, "residual": {"kind": "hyper", "rate": 2, "norm": "rms", "norm_affine": true}}"#,
      inputs: ["streams": .f32(3, 7, 2, 48)]),
    Case(
      block: #"{"kind": "residual-site", "width": 32, "residual": {"kind": "frac", "rate": 4}}"#,
      inputs: ["streams": .f32(2, 12, 4, 8)]),
    Case(
      block: #"{"kind": "residual-site", "width": 16, "residual": {"kind": "mhc", "rate": 2}}"#,
      inputs: ["streams": .f32(2, 12, 2, 16)]),
    Case(block: #"{"kind": "attention", "width": 32, "heads": 4, "kv_heads": 2}"#, inputs: ["x": .f32(2, 9, 32)]),
    Case(block: #"{"kind": "swiglu", "width": 16, "hidden": 40}"#, inputs: ["x": .f32(2, 5, 16)]),
    Case(block: #"{"kind": "layernorm", "width": 24}"#, inputs: ["x": .f32(2, 5, 24)]),
    Case(block: #"{"kind": "cross-entropy"}"#, inputs: ["logits": .f32(2, 4, 11), "targets": .i64(2, 4)]),
  ]

  @Test("kernels agree with the block as written, forward and backward", arguments: cases)
  func kernelsAgree(test: Case) throws {
    let text = #"{"architecture": "block", "block": \#(test.block)}"#
    let program = try Program(Configuration(JSON(parsing: text, file: "config")))
    var forward = try program.trace(inputs: test.inputs)
    forward.name = "forward"
    let floats = forward.parameters.indices.filter { forward.type(of: forward.parameters[$0]).dtype.isFloat }
    let results = forward.results.indices.filter { forward.type(of: forward.results[$0]).dtype.isFloat }
    let gradient = try forward.differentiated(
      named: "gradient", from: .cotangents(results: Array(results)), withRespectTo: Array(floats))
    var random = Seeded(7)
    for function in [forward, gradient] {
      let inputs = function.parameters.map { value in
        Literal.random(function.type(of: value), integersBelow: 4, using: &random)
      }
      let module = Module(functions: [function])
      let expected = try Interpreter(module).run(function.name, inputs)
      let lowered = try lower(module, entry: function.name)
      let found = try Interpreter(lowered.module).run(function.name, inputs)
      #expect(found.count == expected.count)
      for (number, (a, b)) in zip(found, expected).enumerated() {
        #expect(a.type == b.type)
        #expect(a.difference(from: b) < 1e-6, "result \(number) of @\(function.name)")
      }
    }
  }
}
