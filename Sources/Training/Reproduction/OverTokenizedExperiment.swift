import Foundation
import IR
import Models
import Runtime

extension Experiment {
  /// Over-Tokenized Transformer, arXiv 2501.16975: ever larger tables of n-grams before one and the same network.
  static func overTokenized(on text: TextData) -> Experiment {
    let vocabulary = text.tokenizer.vocabulary ?? TextData.vocabulary
    func arm(_ name: String, _ title: String, width: Int = 128, rows: Int?, orders: Int = 3) -> Arm {
      Arm(name, title) { steps in
        var embedding: JSON = ["kind": "plain"]
        if let rows {
          embedding = [
            "kind": "over-encoding", "orders": .integer(orders), "rows": .integer(rows), "average": false,
          ]
        }
        var optimizer = JSON.usual(steps: steps, learningRate: 2e-3)
        if case .object(var object) = optimizer.content {
          object.set("table_rate", 5)
          object.set("lazy_tables", true)
          optimizer = .object(object)
        }
        return [
          "architecture": "language-model", "vocabulary": .integer(vocabulary), "width": .integer(width), "layers": 2,
          "heads": 4, "embedding": embedding, "feed_forward": ["hidden": .integer(width * 8 / 3)], "qk_norm": true,
          "optimizer": optimizer,
        ]
      }
    }
    // Each table has four times the rows of the one before, none near a multiple of the vocabulary.
    let sizes = [0, 2, 10, 42].map { HashedRows.golden(vocabulary: vocabulary, multiple: $0) }
    let growing = sizes.map { arm("rows-\($0)", "1+2+3-gram, \($0) rows", rows: $0) }
    let (many, multiple) = (sizes[3], 43 * vocabulary)
    let names = ["plain"] + growing.map(\.name)
    return Experiment(
      Paper.overTokenized.rawValue, title: "Over-encoding: loss against the size of the input vocabulary",
      setup: """
        Language models of width 128 with 2 blocks on an English dictionary, cut into \(vocabulary) tokens by a \
        byte-pair tokenizer learnt from it; 8 × 128 tokens a step, no token twice. The models differ in their input \
        embedding only: the sum of the token's row and of rows of hashed 2- and 3-grams, in tables that start at zero \
        and learn five times as fast. The sum is not divided by the number of its rows, which a short training would not \
        make up for.
        """,
      steps: 3000,
      arms: [arm("plain", "plain", rows: nil)] + growing + [
        arm("bigrams", "1+2-gram, \(many) rows", rows: many, orders: 2),
        arm("multiple", "1+2+3-gram, \(multiple) = 43·\(vocabulary) rows", rows: multiple),
        arm("narrow", "plain, width 64", width: 64, rows: nil),
        arm("narrow-rows", "1+2+3-gram, \(many) rows, width 64", width: 64, rows: many),
      ],
      baseline: "plain",
      columns: [Column(Key.training, "training loss"), Column(Key.validation, "validation loss")],
      claims: [
        .falling(names, by: Key.training, "The loss falls with every fourfold table"),
        .logLinear(
          growing.map(\.name), sizes: sizes.map { Double(vocabulary + $0) }, by: Key.training,
          "It falls about linearly in the logarithm of the input vocabulary"),
        .lower(names[4], than: "plain", by: Key.training, "A larger input vocabulary helps the network of width 128"),
        .lower("narrow-rows", than: "narrow", by: Key.training, "and that of width 64"),
        .falling(
          ["plain", "bigrams", names[4]], by: Key.training,
          "1+2+3-grams are better than 1+2, and those better than 1"),
        .lower(
          names[4], than: "multiple", by: Key.training,
          "Rows that are a multiple of the vocabulary waste the table: fewer rows by the golden ratio are better"),
      ],
      pictures: [
        Picture("rows.svg", "Training loss against the logarithm of the input vocabulary") { results in
          let points = zip(growing, sizes).compactMap { arm, rows in
            results.summary(Key.training, of: arm.name).map { LossPlot.Point(log2(Double(vocabulary + rows)), $0.mean) }
          }
          guard points.count > 1 else { return nil }
          return LossPlot(
            title: "Training loss against the input vocabulary", xLabel: "log₂(V + m)", yLabel: "loss",
            [LossPlot.Curve("1+2+3-gram", points)]
          ).svg()
        }
      ],
      batches: { seed throws(Diagnostic) in try TextBatches(text, batch: 8, length: 128, seed: seed) })
  }
}

extension Claim {
  /// The means of arms lie on a falling line over the logarithm of their sizes: they part from it by less than a tenth
  /// of their variance.
  static func logLinear(_ arms: [String], sizes: [Double], by key: String, _ text: String) -> Claim {
    Claim(text) { results in
      var points: [(x: Double, y: Double)] = []
      for (arm, size) in zip(arms, sizes) {
        guard let summary = results.summary(key, of: arm) else { return nil }
        points.append((log2(size), summary.mean))
      }
      let count = Double(points.count)
      let (meanX, meanY) = (points.reduce(0) { $0 + $1.x } / count, points.reduce(0) { $0 + $1.y } / count)
      let (xx, xy, yy) = points.reduce(into: (0.0, 0.0, 0.0)) { sums, point in
        let (x, y) = (point.x - meanX, point.y - meanY)
        sums = (sums.0 + x * x, sums.1 + x * y, sums.2 + y * y)
      }
      guard xx > 0, yy > 0 else { return Judgement(.withinSpread, "the losses are equal") }
      let fit = xy * xy / (xx * yy)
      let evidence = String(format: "%+.4f a doubling, R² = %.3f", xy / xx, fit)
      return Judgement(xy < 0 && fit >= 0.9 ? .held : .notHeld, evidence)
    }
  }
}
