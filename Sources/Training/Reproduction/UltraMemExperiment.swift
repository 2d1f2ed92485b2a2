import Compiler
import DSL
import Foundation
import IR
import Models
import Runtime

extension Experiment {
  /// UltraMem, arXiv 2411.12364: memories against a dense network at equal arithmetic, on facts to be learnt by heart.
  static func ultraMem() throws(Diagnostic) -> Experiment {
    let target = try FactModel(hidden: 256).flops
    // What the memory computes, the feed-forward layers do without.
    let productKeys = try FactModel(memory: .productKeys).matching(target)
    let ultra = try FactModel(memory: .ultra(keys: 64)).matching(target)
    func arm(_ name: String, _ title: String, _ model: FactModel, tableRate: Double = 1, decays: Bool = false) -> Arm {
      Arm(name, title) { steps in
        let optimizer: JSON = [
          "learning_rate": 2e-3, "beta1": 0.9, "beta2": 0.95, "warmup": .integer(max(1, min(100, steps / 10))),
          "schedule": "cosine", "total": .integer(steps), "final": 0.1, "table_rate": .number(tableRate),
          "table_rate_steps": .integer(decays ? steps : 0),
        ]
        return model.configuration(optimizer: optimizer)
      }
    }
    return Experiment(
      Paper.ultraMem.rawValue, title: "Memories against dense layers at equal arithmetic",
      setup: """
        \(FactBatches.count) random facts (subject, relation → object) are learnt by heart by transformers of width 64 \
        with 2 blocks, 256 facts a step. All models but the wide one do as much arithmetic: those with a memory have \
        narrower feed-forward layers. The loss is that over all facts; knowing nothing is \
        \(String(format: "%.3f", log(Double(FactBatches.objects)))).
        """,
      steps: 1500,
      arms: [
        arm("dense", "dense", FactModel(hidden: 256)),
        arm("dense-wide", "dense, as many parameters", FactModel(hidden: 256 + 340)),
        arm("pkm", "product keys, values learn 4×", productKeys, tableRate: 4),
        arm("pkm-decay", "product keys, 10× → 1×", productKeys, tableRate: 10, decays: true),
        arm("ultramem-flat", "UltraMem, values learn 1×", ultra),
        arm("ultramem", "UltraMem, 10× → 1×", ultra, tableRate: 10, decays: true),
      ],
      baseline: "dense",
      columns: [
        Column(Key.validation, "loss over all facts"), Column(Key.training, "training loss"),
        Column(latencyGrowth, "time of 64 × the slots", decimals: 2),
      ],
      claims: [
        .lower("pkm", than: "dense", "Product keys are below the dense network at equal arithmetic"),
        .lower("ultramem", than: "pkm-decay", "UltraMem is below product keys at equal arithmetic and rates"),
        .lower("pkm-decay", than: "pkm", "Values want a rate that starts high and falls (product keys)"),
        .lower("ultramem", than: "ultramem-flat", "Values want a rate that starts high and falls (UltraMem)"),
        .below(
          1.5, "ultramem", by: latencyGrowth,
          "A forward pass takes as long with 64 times the slots (at most half more)"),
      ],
      batches: { seed throws(Diagnostic) in FactBatches(batch: 256, seed: seed) },
      measure: { arm, trainer throws(Diagnostic) in
        var measurement = Measurement()
        guard arm.name == "ultramem" else { return measurement }
        let few = try FactModel(memory: .ultra(keys: 64)).seconds(for: trainer.target, trainer.options)
        let many = try FactModel(memory: .ultra(keys: 512)).seconds(for: trainer.target, trainer.options)
        measurement.numbers[latencyGrowth] = many / few
        return measurement
      })
  }

  private static let latencyGrowth = "time_of_64_times_the_slots"
}

/// A transformer that learns facts.
private struct FactModel {
  enum Memory {
    case none, productKeys
    case ultra(keys: Int)
  }

  var hidden = 256
  var memory = Memory.none

  func configuration(optimizer: JSON? = nil) -> JSON {
    var object = JSON.Object()
    object.set("architecture", "language-model")
    object.set("vocabulary", .integer(FactBatches.vocabulary))
    object.set("width", 64)
    object.set("layers", 2)
    object.set("heads", 2)
    object.set("feed_forward", ["hidden": .integer(hidden)])
    let place: JSON = [["from": 0, "to": 1]]
    switch memory {
    case .none: break
    case .productKeys:
      object.set("memory", [
        "kind": "pkm", "placements": place, "keys": 45, "top": 8, "heads": 2, "key_width": 32, "query_norm": true,
      ])
    case .ultra(let keys):
      object.set("memory", [
        "kind": "ultramem", "placements": place, "keys": .integer(keys), "top": 16, "key_width": 16, "value_width": 32,
        "expansion": 4, "rank": 2, "cores": 2, "query_mode": "separate",
      ])
    }
    if let optimizer { object.set("optimizer", optimizer) }
    return .object(object)
  }

  /// Operations of the forward pass for a fact.
  var flops: Double {
    get throws(Diagnostic) {
      let source = FactBatches(batch: 64, seed: 1)
      var forward = try Program(Configuration(configuration())).trace(inputs: source.types)
      forward.keepScalars()
      return Double(Module(functions: [forward]).cost(of: forward).flops) / Double(source.batch)
    }
  }

  /// The model with as wide feed-forward layers as there are operations for.
  func matching(_ target: Double) throws(Diagnostic) -> FactModel {
    var (narrow, wide) = (self, self)
    (narrow.hidden, wide.hidden) = (8, 16)
    let (low, high) = (try narrow.flops, try wide.flops)
    var model = self
    model.hidden = max(8, 8 + Int((8 * (target - low) / (high - low)).rounded(.down)))
    return model
  }

  /// What one fact takes: the least of many forward passes.
  func seconds(for target: CompileTarget, _ options: CompileOptions) throws(Diagnostic) -> Double {
    let program = try Program(Configuration(configuration()))
    var inputs: [String: HostTensor] = [:]
    for (name, tensor) in try program.initialTensors(seed: 1) { inputs[ValueNames.parameter(name)] = tensor }
    var forward = try program.trace(inputs: ["tokens": .i64(1, 2)])
    forward.name = "latency"
    let executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    inputs[ValueNames.input("tokens")] = try HostTensor(.i64(1, 2), integers: [3, 260])
    _ = try executable.run(inputs)
    var least = Double.infinity
    let clock = ContinuousClock()
    for _ in 0..<200 {
      let start = clock.now
      try executable.run()
      least = min(least, (clock.now - start).inSeconds)
    }
    return least
  }
}
