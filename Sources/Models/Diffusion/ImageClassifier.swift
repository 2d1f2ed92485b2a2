import DSL
import IR
import Runtime

/// A small classifier of images, by whose features the images of a model are judged.
///
///     features = gelu(features(gelu(hidden(image))))        logits = output(features)
struct ImageClassifier: Architecture {
  let side, channels, classes: Int
  let hidden, features: Int

  var inputs: [ProgramInput] {
    [
      ProgramInput("images", .f32, [.free("B"), .fixed(channels), .fixed(side), .fixed(side)]),
      ProgramInput("labels", .i64, [.free("B")], isOptional: true, below: classes),
    ]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let pixels = channels * side * side
    let body = Stack {
      Apply { $0.flattened(last: 3) }
      linear(pixels, hidden).named("hidden")
      Apply { $0.gelu() }
      linear(hidden, features).named("features")
      Apply { $0.gelu() }
    }
    let found = body(inputs.input("images"))
    let logits = Stack { linear(features, classes).named("output") }(found)
    guard let labels = inputs["labels"] else { return [("features", found), ("logits", logits)] }
    return [("features", found), ("logits", logits), ("loss", logits.crossEntropy(labels))]
  }

  private func linear(_ inputs: Int, _ outputs: Int) -> Linear {
    Linear(inputs, outputs, bias: true, initial: .xavier(inputs: inputs, outputs: outputs))
  }
}

extension Program {
  /// A classifier of a model's images: from `images`, and `labels` if it is trained, to `features`, `logits` and `loss`.
  public static func imageClassifier(
    of task: ImageTask, hidden: Int = 128, features: Int = 48
  ) throws(Diagnostic) -> Program {
    let classifier = ImageClassifier(
      side: task.side, channels: task.channels, classes: task.classes, hidden: hidden, features: features)
    return try Program(Configuration(classifier))
  }
}
