import DSL
import Foundation
import IR
import Models
import Runtime

extension Experiment {
  /// UltraMem, arXiv 2411.12364: memories against a dense network at equal arithmetic, on facts to be learnt by heart.
  static func ultraMem() throws(Diagnostic) -> Experiment {
    let dense = FactModel()
    let target = try dense.multiplyAdds
    // What the memory computes, the feed-forward layer does without.
    let productKeys = try FactModel(memory: .productKeys).matching(target)
    let ultra = try FactModel(memory: .ultra).matching(target)
    func arm(_ name: String, _ title: String, _ model: FactModel, tableRate: Double = 1, decays: Bool = false) -> Arm {
      Arm(name, title) { steps throws(Diagnostic) in
        let rate = LearningRate(
          2e-3, warmup: max(1, min(100, steps / 10)), schedule: .cosine(total: max(1, steps), final: 0.1),
          tables: tableRate, tableSteps: decays ? steps : 0)
        return TrainingConfiguration(try model.program(), optimizer: AdamW(rate: rate))
      }
    }
    return Experiment(
      Paper.ultraMem.rawValue, title: "Memories against dense layers at equal arithmetic",
      setup: """
        \(FactBatches.count) random facts (subject, relation → object) are learnt by heart, 256 a step, from the sum of a \
        random vector of 64 numbers for each subject and each relation. The network is one residual feed-forward layer \
        with a memory beside it. All models but the wide one do as many multiply-adds: those with a memory have a \
        narrower feed-forward layer. The loss is that over all facts; knowing nothing is \
        \(String(format: "%.3f", log(Double(FactBatches.objects)))). Times are those of a layer of width 512 alone, of \
        single tokens with other inputs each time; experts and the dense layer are as wide as makes their multiply-adds \
        those of the memory. A tenth of the runs takes no longer.
        """,
      steps: 1500,
      arms: [
        arm("dense", "dense", dense),
        arm("dense-wide", "dense, as many parameters", FactModel(hidden: dense.hidden + FactModel.memorySize / (2 * 64))),
        arm("pkm", "product keys, values learn 4×", productKeys, tableRate: 4),
        arm("pkm-decay", "product keys, 10× → 1×", productKeys, tableRate: 10, decays: true),
        arm("ultramem-flat", "UltraMem, values learn 1×", ultra),
        arm("ultramem", "UltraMem, 10× → 1×", ultra, tableRate: 10, decays: true),
      ],
      baseline: "dense",
      columns: [
        Column(Key.validation, "loss over all facts"), Column(Key.training, "training loss"),
      ],
      claims: [
        .lower("pkm", than: "dense", "Product keys are below the dense network at equal arithmetic"),
        .lower("ultramem", than: "pkm-decay", "UltraMem is below product keys at equal arithmetic and rates"),
        .lower("pkm-decay", than: "pkm", "Values want a rate that starts high and falls (product keys)"),
        .lower("ultramem", than: "ultramem-flat", "Values want a rate that starts high and falls (UltraMem)"),
        .below(
          2, "ultramem", by: slotGrowth, "A token takes at most twice as long with 256 times the slots (4096 to 1048576)"),
        .below(1, "ultramem", by: toExperts(1), "A token takes less than with 2 of 32 experts at equal arithmetic"),
        .below(1, "ultramem", by: toExperts(16), "So do 16 tokens"),
        .below(1, "ultramem", by: toExperts(64), "So do 64 tokens"),
      ],
      pictures: [LatencyStudy.slotsPicture, LatencyStudy.batchPicture],
      batches: { seed throws(Diagnostic) in FactBatches(batch: 256, seed: seed) },
      measure: { arm, trainer throws(Diagnostic) in
        var measurement = Measurement()
        guard arm.name == "ultramem" else { return measurement }
        measurement.numbers = try LatencyStudy.measure(for: trainer.target, trainer.options)
        func ratio(_ key: String, to other: String) -> Double {
          (measurement.numbers[key] ?? .nan) / (measurement.numbers[other] ?? .nan)
        }
        measurement.numbers[slotGrowth] = ratio(LatencyStudy.slotsKey(1024), to: LatencyStudy.slotsKey(64))
        for batch in LatencyStudy.batches {
          measurement.numbers[toExperts(batch)] =
            ratio(LatencyStudy.batchKey(.memory, batch), to: LatencyStudy.batchKey(.experts, batch))
        }
        return measurement
      })
  }

  private static let slotGrowth = "time_of_256_times_the_slots"
  private static func toExperts(_ batch: Int) -> String { "time_to_experts_at_\(batch)" }
}

/// A network that learns facts.
private struct FactModel {
  enum Memory {
    case none, productKeys, ultra
  }

  var hidden = 256
  /// Elements of the memories' values.
  static let memorySize = 64 * 64 * 32
  var memory = Memory.none

  func program() throws(Diagnostic) -> Program {
    var options: JSON?
    switch memory {
    case .none: break
    case .productKeys:
      options = ["kind": "pkm", "keys": 45, "top": 8, "heads": 2, "key_width": 32, "query_norm": true]
    case .ultra:
      options = [
        "kind": "ultramem", "keys": 64, "top": 16, "key_width": 16, "value_width": 32, "expansion": 4,
        "rank": 2, "cores": 2, "query_mode": "separate",
      ]
    }
    return try .factLearner(width: FactBatches.width, hidden: hidden, classes: FactBatches.objects, memory: options)
  }

  /// Multiply-adds of the forward pass for a fact.
  var multiplyAdds: Double {
    get throws(Diagnostic) {
      let source = FactBatches(batch: 64, seed: 1)
      return try program().multiplyAdds(on: source.types, units: source.unitsPerBatch)
    }
  }

  /// The model with as wide a feed-forward layer as there are multiply-adds for.
  func matching(_ target: Double) throws(Diagnostic) -> FactModel {
    var (narrow, wide) = (self, self)
    (narrow.hidden, wide.hidden) = (8, 16)
    let (low, high) = (try narrow.multiplyAdds, try wide.multiplyAdds)
    var model = self
    model.hidden = max(8, 8 + Int((8 * (target - low) / (high - low)).rounded(.down)))
    return model
  }
}
