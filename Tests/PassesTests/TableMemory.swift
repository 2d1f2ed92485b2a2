import Compiler
import DSL
import IR
import Models
import Passes
import Runtime
import Testing
import Training

/// What a training step of a model with large tables holds in memory besides the tables and their moments.
@Suite("memory of tables") struct TableMemoryTests {
  private func step(_ optimizer: JSON, _ embedding: JSON) throws -> (plan: MemoryPlan, tables: Int) {
    let configuration = try Configuration([
      "architecture": "language-model", "vocabulary": 64, "width": 32, "layers": 1, "heads": 2,
      "embedding": embedding, "feed_forward": ["hidden": 32], "optimizer": optimizer,
    ])
    let program = try Program(configuration)
    let tokens = TensorType(.i64, [2, 16])
    let forward = try program.trace(inputs: ["tokens": tokens, "targets": tokens])
    let step = try program.trainingStep(
      continuing: program.differentiated(forward), optimizer: try #require(configuration.optimizer))
    let lowered = try lower(Module(functions: [step]), entry: step.name)
    let tables = program.parameters.filter(\.isTable).reduce(0) { $0 + $1.type.bytes }
    return (lowered.plan, tables)
  }

  @Test("tables that no machine holds are an error before any is made")
  func tooLarge() throws {
    let configuration = try TrainingConfiguration([
      "architecture": "language-model", "vocabulary": 256, "width": 32, "layers": 0, "heads": 2, "feed_forward": ["hidden": 8],
      "embedding": ["kind": "over-encoding", "rows": 1_000_000_000],
    ], steps: 1)
    let text = try TextData([UInt8](repeating: 65, count: 100), source: "text")
    let batches = try TextBatches(text, batch: 1, length: 8, seed: 1)
    let error = #expect(throws: Diagnostic.self) { _ = try Trainer(configuration, on: batches, for: .interpreter) }
    #expect(error?.message.contains("its largest tensor is the parameter 'embed.tables.") == true, "\(String(describing: error))")
  }

  @Test("is less than a tenth of a table", arguments: [true, false], [
    ["kind": "over-encoding", "orders": 3, "rows": 40_000, "slice_width": 32],
    ["kind": "over-encoding", "orders": 3, "rows": 40_000, "slice_width": 32, "mixing": "concat"],
    ["kind": "byte-hash", "first": 2, "last": 3, "rows": 40_000],
  ] as [JSON])
  func planned(isLazy: Bool, embedding: JSON) throws {
    let (plan, tables) = try step(["lazy_tables": .boolean(isLazy), "table_rate": 5], embedding)
    let copied = (plan.copies + plan.steps.flatMap(\.copies)).map(\.from.bytes).max() ?? 0
    #expect(copied < tables / 10, "tables are changed where they stand")
    // Without lazy rows an integer for each row says where its gradient is.
    let index = isLazy ? 0 : tables / 32 * 2
    #expect(plan.bytes < 3 * tables + index + tables / 10, "\(plan.bytes) bytes for tables of \(tables)")
  }
}
