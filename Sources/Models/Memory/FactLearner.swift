import DSL
import IR
import Runtime

/// The least network that can learn facts by heart: a residual feed-forward layer with a memory beside it.
///
///     h = x + down(relu(up(norm(x)))) + memory(norm(x))        logits = output(norm(h))
struct FactLearner: Architecture {
  let width, hidden, classes: Int
  let memory: MemoryChoice

  var inputs: [ProgramInput] {
    [
      ProgramInput("facts", .f32, [.free("B"), .fixed(1), .fixed(width)]),
      ProgramInput("objects", .i64, [.free("B"), .fixed(1)], isOptional: true, below: classes),
    ]
  }

  func calibrations() throws(Diagnostic) -> [Calibration] { try memory.calibrations(width: width) { _ in "memory" } }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let x = inputs.input("facts")
    let normed = Stack { LayerNorm(width).named("norm") }(x)
    let body = Stack {
      linear(width, hidden).named("up")
      Apply { $0.maximum(0) }
      linear(hidden, width).named("down")
    }
    var state = x + body(normed)
    if memory.kind != nil {
      let layer = memory.layer(0) { _ in "memory" }
      state = state + layer(normed)
    }
    let logits = Stack {
      LayerNorm(width).named("final_norm")
      linear(width, classes).named("output")
    }(state)
    guard let objects = inputs["objects"] else { return [("logits", logits)] }
    return [("logits", logits), ("loss", logits.crossEntropy(objects))]
  }

  private func linear(_ inputs: Int, _ outputs: Int) -> Linear {
    Linear(inputs, outputs, bias: true, initial: .xavier(inputs: inputs, outputs: outputs))
  }
}

extension Program {
  /// A network that learns facts: from `facts` [B, 1, width], and `objects` [B, 1] if it is trained, to `logits` and
  /// `loss`.
  ///
  /// - Parameter memory: as the key `memory` of a configuration, without placements; `nil` for none.
  public static func factLearner(
    width: Int, hidden: Int, classes: Int, memory: JSON? = nil
  ) throws(Diagnostic) -> Program {
    let surroundings = MemorySurroundings(width: width, layers: nil, hidden: hidden, mode: .train)
    let fields = try memory.map { (json) throws(Diagnostic) in try Fields(json, "the memory") }
    let choice = try MemoryChoice(fields, in: surroundings)
    return try Program(Configuration(FactLearner(width: width, hidden: hidden, classes: classes, memory: choice)))
  }
}
