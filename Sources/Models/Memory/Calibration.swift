import DSL
import IR
import Runtime

/// Gains that a new model chooses by what they bring about: UltraMem's scores, which nothing else bounds, start with a mean
/// of 1 over winners and cores (spec. of UltraMem 2.7).
struct Calibration: Sendable {
  /// The parameters that are scaled, each by mean^(−1/2^roots).
  let gains: [String]
  let roots: Int
  /// From parameters (`param/NAME`) and random positions (`input/x`) to the mean score.
  let function: Function

  /// Positions that are drawn to measure a mean.
  static let positions = 16
}

extension MemoryChoice {
  /// How the gains of its layers are chosen, in a model of this width.
  func calibrations(width: Int, called name: (Int) -> String) throws(Diagnostic) -> [Calibration] {
    let options: UltraMemoryOptions
    switch kind {
    case .ultra(let found), .second(let found, _): options = found
    case .productKey, .plus, .none: return []
    }
    var calibrations: [Calibration] = []
    for number in placements.indices.isEmpty ? [0] : Array(placements.indices) {
      let memory = UltraMemory(name(number), options)
      let trace = Trace(name: "calibration")
      let mean = memory.meanScore(of: trace.input("input/x", .f32(1, Calibration.positions, width)))
      // A score is quadratic in the product of both gains; the additive one is linear.
      let roots = options.scoring == .tucker ? 2 : 1
      calibrations.append(
        Calibration(
          gains: ["query_norm", "key_norm"].map { "\(memory.name).\($0).weight" }, roots: roots,
          function: try trace.finish([("mean", mean)])))
    }
    return calibrations
  }
}

extension Calibration {
  /// Scales the gains of a new model.
  func apply(to tensors: inout [String: HostTensor], seed: UInt64) throws(Diagnostic) {
    var arguments: [Literal] = []
    for value in function.parameters {
      let name = function.name(of: value)
      let tensor = tensors.first { ValueNames.parameter($0.key) == name }?.value
      if let tensor {
        arguments.append(tensor.literal)
      } else {
        arguments.append(try HostTensor.random(function.type(of: value), seed: seed).literal)
      }
    }
    let mean = try Interpreter(Module(functions: [function])).run(function, arguments)[0].doubles[0]
    // Scores of the other sign cannot be brought to 1 by a gain.
    guard mean > 0, mean.isFinite, (1 / mean).isFinite else { return }
    let factor = (0..<roots).reduce(1 / mean) { factor, _ in factor.squareRoot() }
    for name in gains {
      guard let tensor = tensors[name] else { continue }
      tensors[name] = try HostTensor(tensor.type, doubles: tensor.doubles.map { $0 * factor })
    }
  }
}
