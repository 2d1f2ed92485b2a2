import Compiler
import DSL
import Foundation
import IR
import Models
import Runtime

/// What a layer takes for a batch of single tokens, with weights of its own and other inputs each time.
struct LayerLatency {
  private let executable: any Executable
  private let input: Int
  private let batches: [HostTensor]

  /// - Parameter program: a layer with an input `x` of axes batch, tokens, width, and its tensors.
  init(
    _ program: Program, _ tensors: [String: HostTensor], width: Int, batch: Int, for target: CompileTarget,
    _ options: CompileOptions
  ) throws(Diagnostic) {
    let type = TensorType.f32(batch, 1, width)
    var forward = try program.trace(inputs: ["x": type])
    forward.keepResults { name, _ in name == "y" }
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    try executable.write(tensors, as: ValueNames.parameter)
    guard let input = executable.parameterNumber(ValueNames.input("x")) else { throw Diagnostic("the layer has no 'x'") }
    self.input = input
    batches = try (0..<64).map { (number) throws(Diagnostic) in try HostTensor.random(type, seed: UInt64(number)) }
  }

  /// Seconds of a batch: of many, a tenth takes no longer.
  func seconds() throws(Diagnostic) -> Double {
    let clock = ContinuousClock()
    let begin = clock.now
    var times: [Double] = []
    while times.count < 3 * batches.count || (clock.now - begin).inSeconds < 0.5 {
      try executable.write(batches[times.count % batches.count], to: input)
      let start = clock.now
      try executable.run()
      times.append((clock.now - start).inSeconds)
    }
    // The first round brings the weights in.
    return times.dropFirst(batches.count).sorted()[(times.count - batches.count) / 10]
  }
}

/// The layers whose times the experiment on memories compares: width 512, as in the specification's own measurement.
struct LatencyStudy {
  static let width = 512
  static let batches = [1, 4, 16, 64]
  /// Keys a side; the slots are their squares.
  static let keys = [64, 128, 256, 512, 1024]

  static func slotsKey(_ keys: Int) -> String { "microseconds_of_\(keys * keys)_slots" }
  static func batchKey(_ layer: Layer, _ batch: Int) -> String { "microseconds_of_\(layer.rawValue)_at_\(batch)" }

  enum Layer: String, CaseIterable {
    case memory, experts, dense

    var title: String {
      switch self {
      case .memory: "UltraMem, 262144 slots"
      case .experts: "2 of 32 experts"
      case .dense: "dense layer"
      }
    }
  }

  private static func memory(keys: Int) -> JSON {
    [
      "kind": "memory", "width": .integer(width),
      "memory": [
        "kind": "ultramem", "keys": .integer(keys), "top": 32, "key_width": 64, "value_width": 256, "expansion": 4,
        "rank": 2, "cores": 2, "query_mode": "separate",
      ],
    ]
  }

  private static func experts(hidden: Int) -> JSON {
    [
      "kind": "moe", "width": .integer(width),
      "feed_forward": [
        "kind": "moe", "experts": 32, "top": 2, "hidden": .integer(hidden), "routing": "token-choice", "gate": "softmax",
        "router": "linear",
      ],
    ]
  }

  private static func dense(hidden: Int) -> JSON {
    ["kind": "gelu-mlp", "width": .integer(width), "hidden": .integer(hidden)]
  }

  private static func program(_ block: JSON) throws(Diagnostic) -> Program {
    try Program(Configuration(["architecture": "block", "block": block, "mode": "infer"]))
  }

  /// Microseconds of a batch by key: of memories of all sizes at batch 1, and of all layers at all batches. Experts and
  /// the dense layer are as wide as makes their arithmetic that of the memory.
  static func measure(for target: CompileTarget, _ options: CompileOptions) throws(Diagnostic) -> [String: Double] {
    func microseconds(_ block: JSON, _ batches: [Int]) throws(Diagnostic) -> [Double] {
      let program = try program(block)
      let tensors = try program.initialTensors(seed: 1)
      return try batches.map { (batch) throws(Diagnostic) in
        let layer = try LayerLatency(program, tensors, width: width, batch: batch, for: target, options)
        return 1e6 * (try layer.seconds())
      }
    }
    var numbers: [String: Double] = [:]
    for count in keys { numbers[slotsKey(count)] = try microseconds(memory(keys: count), [1])[0] }
    let arithmetic = try program(memory(keys: 512)).multiplyAdds(on: ["x": .f32(1, 64, width)], units: 64)
    let hidden = Int((arithmetic / Double(2 * width)).rounded())
    for layer in Layer.allCases {
      let block: JSON
      switch layer {
      case .memory: block = memory(keys: 512)
      case .experts: block = experts(hidden: hidden / 2)
      case .dense: block = dense(hidden: hidden)
      }
      for (batch, time) in zip(batches, try microseconds(block, batches)) { numbers[batchKey(layer, batch)] = time }
    }
    return numbers
  }

  static let slotsPicture = Experiment.Picture("slots.svg", "Time of a token against the number of slots") { results in
    let points = keys.compactMap { keys in
      results.summary(slotsKey(keys), of: "ultramem").map { LossPlot.Point(2 * log2(Double(keys)), $0.mean) }
    }
    guard points.count > 1 else { return nil }
    let curve = LossPlot.Curve("UltraMem, one token", [LossPlot.Point(points[0].x, 0)] + points)
    return LossPlot(title: "Time against slots", xLabel: "log₂ slots", yLabel: "microseconds", [curve]).svg()
  }

  static let batchPicture = Experiment.Picture(
    "batches.svg", "Time of a batch of single tokens, layers of equal arithmetic"
  ) { results in
    let curves = Layer.allCases.compactMap { layer -> LossPlot.Curve? in
      let points = batches.compactMap { batch in
        results.summary(batchKey(layer, batch), of: "ultramem").map { LossPlot.Point(log2(Double(batch)), $0.mean) }
      }
      return points.count > 1 ? LossPlot.Curve(layer.title, points) : nil
    }
    guard !curves.isEmpty else { return nil }
    return LossPlot(title: "Time against batch", xLabel: "log₂ tokens", yLabel: "microseconds", curves).svg()
  }
}
