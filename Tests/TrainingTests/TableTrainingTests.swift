import Compiler
import DSL
import IR
import Models
import Runtime
import Testing

@testable import Training

/// What must hold of tables in training, however they are stored and updated.
@Suite("training of tables") struct TableTrainingTests {
  private static func json(rule: String) -> JSON {
    [
      "architecture": "language-model", "vocabulary": 256, "width": 8, "layers": 1, "heads": 2,
      "feed_forward": ["hidden": 12], "embedding": ["kind": "over-encoding", "orders": 3, "rows": 300],
      "optimizer": [
        "learning_rate": 0.02, "table_rate": 3, "lazy_tables": true, "weight_decay": 0.1, "table_rule": .string(rule),
      ],
    ]
  }

  @Test("row-wise Adagrad follows its equations, whatever form a gradient has", arguments: TinyModel.targets)
  func adagrad(target: CompileTarget) throws {
    let (rows, width, rate, eps) = (4, 3, 0.05 * 2, 1e-3)
    let json: JSON = [
      "architecture": "block",
      "block": ["kind": "adamw-step", "steps": 2, "parameters": ["tables.0.weight": [4, 3]]],
      "optimizer": [
        "learning_rate": 0.05, "table_rate": 2, "eps": 1e-3, "weight_decay": 0.1, "table_rule": "rowwise-adagrad",
      ],
    ]
    let program = try Program(Configuration(json))
    let table = try HostTensor.random(.f32(rows, width), seed: 1)
    let (ids, pairs) = ([Int64(2), 0, 2], try HostTensor.random(.f32(3, width), seed: 2))
    let dense = try HostTensor.random(.f32(rows, width), seed: 3)
    let function = try program.trace(inputs: [
      "rows.0.tables.0.weight": .i64(3), "row_gradients.0.tables.0.weight": pairs.type,
      "gradients.1.tables.0.weight": dense.type,
    ])
    let run = try compile(Module(functions: [function]), entry: function.name, for: target)
    let found = try run.run([
      "param/tables.0.weight": table, "input/rows.0.tables.0.weight": try HostTensor(.i64(3), integers: ids),
      "input/row_gradients.0.tables.0.weight": pairs, "input/gradients.1.tables.0.weight": dense,
    ])

    var (weights, sums) = (table.doubles, [Double](repeating: 0, count: rows))
    var first = [Double](repeating: 0, count: rows * width)
    for (pair, id) in ids.enumerated() {
      for column in 0..<width { first[Int(id) * width + column] += pairs.doubles[pair * width + column] }
    }
    for gradient in [first, dense.doubles] {
      for row in 0..<rows {
        let g = gradient[(row * width)..<((row + 1) * width)]
        sums[row] += g.reduce(0) { $0 + $1 * $1 } / Double(width)
        for column in 0..<width { weights[row * width + column] -= rate * g[row * width + column] / (sums[row].squareRoot() + eps) }
      }
    }
    let got = try #require(found["tables.0.weight"]).doubles
    for (a, b) in zip(got, weights) { #expect(abs(a - b) < 1e-5) }
  }

  @Test("what is kept of a table is as large as the rule says")
  func moments() throws {
    let configuration = try TinyModel.configuration(Self.json(rule: "rowwise-adagrad"))
    let tables = configuration.program.trained.filter(\.isTable)
    let table = try #require(tables.first)
    #expect(configuration.optimizer.moments(of: table) == [.f32(table.type.shape[0], 1)])
    let others = configuration.program.trained.filter { !$0.isTable }
    let other = try #require(others.first)
    #expect(configuration.optimizer.moments(of: other) == [other.type, other.type])
  }

  @Test(
    "a run with tables of bf16 goes on to the last bit, and what it saves is bf16",
    arguments: ["adam", "rowwise-adagrad"])
  func shortTables(rule: String) throws {
    func trainer(_ checkpoint: Checkpoint? = nil) throws -> Trainer {
      let configuration = try TrainingConfiguration(
        Self.json(rule: rule), steps: 10, tables: checkpoint?.tables ?? .bf16)
      let batches = try TinyModel.batches()
      if let checkpoint { return try Trainer(configuration, on: batches, continuing: checkpoint, for: TinyModel.fastest) }
      return try Trainer(configuration, on: batches, for: TinyModel.fastest)
    }
    let scratch = try Scratch()
    let whole = try trainer()
    let begun = try whole.validationLoss(batches: 4)
    for _ in 0..<3 { _ = try whole.advance() }
    let path = try Checkpoints(in: scratch.path("run")).write(whole.checkpoint(seconds: 0), keeping: 1)
    for _ in 0..<3 { _ = try whole.advance() }
    let checkpoint = try Checkpoint(path)
    #expect(checkpoint.tables == .bf16)
    let resumed = try trainer(checkpoint)
    for _ in 0..<3 { _ = try resumed.advance() }
    #expect(try resumed.tensors() == whole.tensors())
    #expect(try whole.validationLoss(batches: 4) < begun)
  }

  @Test("a large tensor is made piece by piece like any other")
  func pieces() throws {
    let parameter = Parameter("table", [1050, 1000], .normal(0.5))
    guard case .floats(let whole) = parameter.initialValues(seed: 3) else { return }
    var pieced: [Float] = []
    try parameter.forEachInitialPiece(seed: 3) { first, values in
      #expect(first == pieced.count)
      if case .floats(let floats) = values { pieced += floats }
    }
    #expect(pieced == whole && whole.count == 1_050_000)
  }
}
