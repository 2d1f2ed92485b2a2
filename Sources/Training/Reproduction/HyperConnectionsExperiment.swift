import IR
import Runtime

extension Experiment {
  /// Hyper-Connections, arXiv 2409.19606: several residual streams against one, at equal tokens.
  static func hyperConnections(on text: TextData) -> Experiment {
    func arm(_ name: String, _ title: String, _ residual: JSON) -> Arm {
      Arm(name, title) { steps in
        [
          "architecture": "language-model", "vocabulary": .integer(TextData.vocabulary), "width": 128, "layers": 6,
          "heads": 4, "residual": residual, "feed_forward": ["hidden": 344], "tied": true, "qk_norm": true,
          "optimizer": .usual(steps: steps, learningRate: 3e-3),
        ]
      }
    }
    return Experiment(
      Paper.hyperConnections.rawValue, title: "Hyper-connections against the plain residual",
      setup: """
        Byte-level language models of width 128 with 6 blocks, trained on the same windows (8 × 128 bytes a step) of an \
        English dictionary; only the residual connections differ. DHC are dynamic, SHC static hyper-connections with n \
        streams.
        """,
      steps: 3000,
      arms: [
        arm("plain", "plain", ["kind": "plain"]),
        arm("dhc-1", "DHC, n = 1", ["kind": "hyper", "rate": 1]),
        arm("dhc-2", "DHC, n = 2", ["kind": "hyper", "rate": 2]),
        arm("dhc-4", "DHC, n = 4", ["kind": "hyper", "rate": 4]),
        arm("shc-4", "SHC, n = 4", ["kind": "hyper", "rate": 4, "dynamic": false]),
      ],
      baseline: "plain",
      columns: [Column(Key.validation, "validation loss"), Column(Key.training, "training loss")],
      claims: [
        .lower("dhc-2", than: "plain", "DHC with n = 2 is below the plain residual at equal tokens"),
        .lower("dhc-4", than: "plain", "DHC with n = 4 is below the plain residual at equal tokens"),
        .lower("shc-4", than: "plain", "SHC with n = 4 is below the plain residual at equal tokens"),
        .notLower("dhc-1", than: "plain", "One stream does not help: DHC with n = 1 is not below the plain residual"),
        .lower("dhc-4", than: "dhc-1", "Streams are what helps: DHC with n = 4 is below n = 1"),
      ],
      batches: { seed throws(Diagnostic) in try TextBatches(text, batch: 8, length: 128, seed: seed) },
      measure: { arm, trainer throws(Diagnostic) in
        var measurement = Measurement()
        guard arm.name != "plain" else { return measurement }
        let connections = try UnfoldedConnections(
          of: trainer.configuration.program, try trainer.tensors(), on: trainer.source, for: trainer.target,
          options: trainer.options)
        measurement.pictures["connections-\(arm.name).svg"] = connections.heatMap.svg()
        return measurement
      })
  }
}

extension JSON {
  /// The optimizer of small models: a short warm-up, then a cosine down to a tenth.
  static func usual(steps: Int, learningRate: Double) -> JSON {
    [
      "learning_rate": .number(learningRate), "beta1": 0.9, "beta2": 0.95, "weight_decay": 0.1, "clip": 1,
      "warmup": .integer(max(1, min(100, steps / 10))), "schedule": "cosine",
      "total": .integer(max(1, steps)), "final": 0.1,
    ]
  }
}
