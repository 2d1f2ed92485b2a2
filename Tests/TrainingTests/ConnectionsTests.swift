import Compiler
import DSL
import Foundation
import IR
import Models
import Runtime
import TestSupport
import Testing

@testable import Training

/// What must hold of unfolded connections: they are the products of the sites' matrices.
@Suite("unfolded connections") struct ConnectionsTests {
  private typealias Matrix = [[Double]]

  private static func config(_ residual: JSON) -> JSON {
    [
      "architecture": "language-model", "vocabulary": 256, "width": 12, "layers": 2, "heads": 2, "residual": residual,
      "feed_forward": ["hidden": 8],
    ]
  }

  /// A model's folder; with a `scale`, each tensor has random numbers of that size added.
  private func model(_ residual: JSON, _ scratch: Scratch, scale: Double = 0) throws -> ModelDirectory {
    let json = Self.config(residual)
    var random = Seeded(5)
    var tensors = try Program(Configuration(json)).initialTensors(seed: 3)
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) where scale > 0 {
      tensors[name] = try HostTensor(
        tensor.type, doubles: tensor.doubles.map { $0 + Double.random(in: -scale...scale, using: &random) })
    }
    try ModelDirectory.write(json, tensors, to: scratch.path("model"))
    return try ModelDirectory(scratch.path("model"))
  }

  private func unfolded(
    _ model: ModelDirectory, _ text: TextData?, length: Int, for target: CompileTarget
  ) throws -> UnfoldedConnections {
    let source = try text.map { try TextBatches($0, batch: 1, length: length, seed: 1) }
    return try UnfoldedConnections(of: model.program, model.tensors, on: source, for: target)
  }

  @Test("of a new model they are those of the pre-norm network", arguments: [
    (["kind": "plain"], 1, 1), (["kind": "hyper", "rate": 1], 1, 1), (["kind": "hyper", "rate": 2], 2, 1),
    (["kind": "hyper", "rate": 4, "dynamic": false], 4, 1), (["kind": "hyper", "rate": 8], 8, 1),
    (["kind": "frac", "rate": 3], 1, 3),
  ] as [(JSON, Double, Int)])
  func startsPlain(residual: JSON, streams: Double, parts: Int) throws {
    let scratch = try Scratch()
    let found = try unfolded(model(residual, scratch), TinyModel.text(), length: 6, for: .interpreter)
    #expect(found.rows.count == 5 * parts && found.columns.count == 5 * parts)
    for (row, weights) in found.weights.enumerated() {
      for (column, weight) in weights.enumerated() {
        // The end of the network sums the streams, and its norm takes the sum for a mean.
        let isRead = column / parts <= row / parts && column % parts == row % parts
        #expect(abs(weight - (isRead ? (row / parts == 4 ? streams : 1) : 0)) < 1e-6)
      }
    }
    if parts == 1 {
      #expect(found.rows == ["0 attention", "0 feed_forward", "1 attention", "1 feed_forward", "output"])
      #expect(found.columns == ["embedding", "0 attention", "0 feed_forward", "1 attention", "1 feed_forward"])
    }
  }

  @Test("static connections are what the formula says")
  func formula() throws {
    let scratch = try Scratch()
    let model = try model(["kind": "hyper", "rate": 3, "dynamic": false], scratch, scale: 0.5)
    #expect(try !UnfoldedConnections.needBatches(of: model))
    let found = try unfolded(model, nil, length: 4, for: TinyModel.fastest)
    #expect(found.tokens == 1)
    let sites = try ["0.attention_site", "0.feed_forward_site", "1.attention_site", "1.feed_forward_site"].map { site in
      let alpha = try #require(model.tensors["blocks.\(site).alpha"]).doubles
      let beta = try #require(model.tensors["blocks.\(site).beta"]).doubles
      return (alpha: (0..<3).map { Array(alpha[$0 * 4..<$0 * 4 + 4]) }, beta: beta)
    }
    try compare(found, writes: [[1, 1, 1]] + sites.map(\.beta), mixes: sites.map { $0.alpha.map { Array($0[1...]) } },
      reads: sites.map { $0.alpha.map { $0[0] } } + [[1, 1, 1]])
  }

  /// write_j · mix_{j+1} ⋯ mix_{k−1} · read_k, written down as it stands.
  private func compare(_ found: UnfoldedConnections, writes: Matrix, mixes: [Matrix], reads: Matrix) throws {
    for k in reads.indices {
      for j in writes.indices {
        guard j <= k else {
          #expect(found.weights[k][j] == 0)
          continue
        }
        var row = writes[j]
        for mix in mixes[j..<k] { row = row.indices.map { column in row.indices.reduce(0) { $0 + row[$1] * mix[$1][column] } } }
        let wanted = zip(row, reads[k]).reduce(0) { $0 + $1.0 * $1.1 }
        #expect(abs(found.weights[k][j] - wanted) < 1e-5, "\(k) \(j)")
        guard k < mixes.count else { continue }
        for slot in row.indices {
          let left = row.indices.reduce(0) { $0 + row[$1] * mixes[k][$1][slot] }
          #expect(abs(found.slots[slot][k][j] - left) < 1e-5)
        }
      }
    }
  }

  @Test("dynamic connections are the mean of what they are for each token", arguments: ["hyper", "mhc"])
  func dynamic(kind: String) throws {
    let scratch = try Scratch()
    let model = try model(["kind": .string(kind), "rate": 2], scratch, scale: 0.7)
    #expect(try UnfoldedConnections.needBatches(of: model))
    let text = try TinyModel.text()
    let whole = try unfolded(model, text, length: 9, for: TinyModel.fastest)
    #expect(whole.tokens == 9)
    let truth = try unfolded(model, text, length: 9, for: .interpreter)
    for (a, b) in zip(whole.weights.joined(), truth.weights.joined()) { #expect(abs(a - b) < 1e-4) }
    // What two sites in a row do to two tokens, added up by hand.
    func matrices(_ rows: Int, _ columns: Int, _ values: [Double]) throws -> TokenMatrices {
      try TokenMatrices(HostTensor(.f32(1, 2, rows, columns), doubles: values))
    }
    let sites = [
      SiteConnection("start", write: try TokenMatrices(HostTensor(.f32(1, 2), doubles: [1, 1]))),
      SiteConnection(
        "a", read: try matrices(2, 1, [1, 0, 0, 3]), mix: try matrices(2, 2, [1, 2, 0, 1, 1, 0, 1, 1]),
        write: try matrices(1, 2, [1, 0, 0, 5])),
      SiteConnection("end", read: try TokenMatrices(HostTensor(.f32(2, 1), doubles: [1, 1]))),
    ]
    let small = try UnfoldedConnections(sites)
    #expect(small.weights == [[2, 0], [3.5, 3]])
    #expect(small.rows == ["a", "output"] && small.columns == ["embedding", "a"])
  }

  @Test("a table, JSON and a picture show them")
  func shown() throws {
    let scratch = try Scratch()
    let found = try unfolded(
      model(["kind": "hyper", "rate": 2, "dynamic": false], scratch, scale: 0.3), nil, length: 4, for: .interpreter)
    #expect(found.text().split(separator: "\n").count == 11)
    #expect(try found.json.required("weights").array().count == 5)
    #expect(try found.json.required("slots").array().count == 2)
    let svg = found.heatMap.svg()
    #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n") && !svg.contains("nan"))
    #expect(svg.components(separatedBy: "<title>").count == 26)
    let odd = HeatMap(title: "<&>", rowTitle: "", columnTitle: "", rows: ["a\"b"], columns: ["x"], values: [[.nan]])
    #expect(odd.svg().contains("&lt;&amp;&gt;") && odd.svg().contains("#000000"))
  }

  @Test("what has no connections says so")
  func refusals() throws {
    let scratch = try Scratch()
    let model = try model(["kind": "hyper", "rate": 2], scratch)
    #expect(complaint { _ = try model.text() }.contains("does not say what text"))
    #expect(complaint { _ = try UnfoldedConnections([]) } == "the model has no residual sites")
    let short = try TextData(Array(repeating: 65, count: 100), source: "short")
    #expect(complaint { _ = try unfolded(model, short, length: 9, for: .interpreter) }.contains("nothing to validate on"))
  }
}
