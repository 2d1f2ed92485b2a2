import DSL
import IR
import Runtime
import TestSupport
import Testing

/// A transformer as a user writes it.
private struct Transformer: Model {
  let width: Int, layers: Int, deep: Bool

  var body: some Layer {
    Embedding(rows: 50, width: width)
    Expand(.hyper(streams: 4))
    for _ in 0..<layers {
      Block(width: width, deep: deep)
    }
    Collapse(.hyper(streams: 4))
    RMSNorm(width)
    Linear(width, 50)
  }
}

private struct Block: Model {
  let width: Int, deep: Bool

  var body: some Layer {
    HyperConnected(streams: 4) {
      RMSNorm(width)
      Attention(width, heads: 2)
    }
    HyperConnected(streams: 4) {
      RMSNorm(width)
      if deep {
        SwiGLU(width, hidden: 4 * width)
      } else {
        MLP(width, hidden: width).named("small")
      }
    }
  }
}

@Suite("layers") struct LayerTests {
  private func trace(_ model: some Layer, _ type: TensorType) throws -> (Trace, Function) {
    let trace = Trace(name: "forward")
    let y = model(trace.input("x", type))
    return (trace, try trace.finish([("y", y)]))
  }

  @Test("a parameter's name is its path in the model")
  func names() throws {
    let (trace, function) = try trace(Transformer(width: 8, layers: 2, deep: true), .i64(2, 3))
    let names = trace.parameters.map(\.name)
    #expect(Set(names).count == names.count)
    #expect(names.first == "embedding.weight")
    #expect(names.contains("block.residual.alpha_weight"))
    #expect(names.contains("block_1.residual_1.feed_forward.down.weight"))
    #expect(names.contains("linear.weight"))
    #expect(function.type(of: function.results[0]) == .f32(2, 3, 50))
    let other = try self.trace(Transformer(width: 8, layers: 1, deep: false), .i64(2, 3)).0.parameters.map(\.name)
    #expect(other.contains("block.residual_1.small.up.bias"))
  }

  @Test("every operation knows a line of the model")
  func lines() throws {
    let (_, function) = try trace(Transformer(width: 8, layers: 2, deep: true), .i64(2, 3))
    #expect(function.operations.allSatisfy { $0.location.file == "DSLTests/LayerTests.swift" && $0.location.line < 41 })
  }

  @Test("an error stands where the model uses the layer")
  func errorPlace() {
    let line = #line + 3
    let model = Stack {
      Linear(4, 6)
      Attention(6, heads: 4, keyHeads: 3)
    }
    let error = #expect(throws: Diagnostic.self) { _ = try trace(model, .f32(1, 2, 4)) }
    #expect(error?.location.line == line)
    #expect(error?.message == "3 key heads do not divide 4 heads")
  }

  @Test("a name that is declared twice and differently is an error; equal declarations share")
  func sharing() throws {
    let shared = Stack {
      Linear(4, 4).named("same")
      Linear(4, 4).named("same")
    }
    #expect(try trace(shared, .f32(2, 4)).0.parameters.count == 1)
    let clash = Stack {
      Linear(4, 4).named("same")
      Linear(4, 5).named("same")
    }
    #expect(throws: Diagnostic.self) { _ = try trace(clash, .f32(2, 4)) }
  }

  @Test("a new model with hyper-connections computes what the plain one does", arguments: [
    HyperConnections(streams: 3), ManifoldConnections(streams: 3), FracConnections(fractions: 2),
    GeneralizedConnections(fractions: 2, slots: 3),
  ] as [any ResidualScheme])
  func startsPlain(_ scheme: any ResidualScheme) throws {
    func model(_ scheme: some ResidualScheme) -> Stack {
      Stack {
        Expand(scheme).named("ends")
        for index in 0..<3 {
          Residual(scheme, site: "site_\(index)") { Linear(4, 4, initial: .normal(1)).named("linear_\(index)") }
        }
        Collapse(scheme).named("ends")
        RMSNorm(4, eps: 0, affine: false)
      }
    }
    let type = TensorType.f32(2, 5, 4)
    let input = Literal(type) { at in Double(at[0] + 2 * at[1]) - Double(at[2] * at[2]) }
    func result(_ scheme: some ResidualScheme) throws -> Literal {
      let (trace, function) = try trace(model(scheme), type)
      var arguments = ["x": input]
      for parameter in trace.parameters {
        guard case .floats(let values) = parameter.initialValues(seed: 5) else { continue }
        arguments["param/" + parameter.name] = Literal(parameter.type, floats: values.map { Double($0) })
      }
      let ordered = try function.parameters.map { try #require(arguments[function.name(of: $0)]) }
      return try Interpreter(Module(functions: [function])).run(function, ordered)[0]
    }
    #expect(try result(scheme).difference(from: result(.plain)) < 2e-3)
  }
}
