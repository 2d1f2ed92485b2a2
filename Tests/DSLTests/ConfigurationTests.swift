import DSL
import IR
import Models
import Ops
import Runtime
import TestSupport
import Testing

@Suite("configurations") struct ConfigurationTests {
  private static let model = """
    {"architecture": "language-model", "vocabulary": 61, "width": 32, "layers": 2, "heads": 4,
    "feed_forward": {"hidden": 48},KEYS}
    """

  private func program(_ keys: String, in text: String = model) throws -> Program {
    try Program(Configuration(JSON(parsing: text.replacing("KEYS", with: keys), file: "config.json")))
  }

  @Test("what is wrong is said where it stands", arguments: [
    (#""colour": 1"#, 2, 32, "unknown key \"colour\""), (#""kv_heads": 3"#, 2, 44, "'kv_heads' wants a divisor of the 4 heads, got 3"),
    (#""kv_heads": "two""#, 2, 44, "'kv_heads' wants an integer, got \"two\""),
    (#""norm_eps": -1"#, 2, 44, "'norm_eps' wants a number from 0"), (#""tied": 1"#, 2, 40, "'tied' wants true or false, got 1"),
    (#""residual": {"kind": "spiral"}"#, 2, 53, "'kind' wants one of \"plain\", \"hyper\""),
    (#""residual": {"kind": "hyper", "rate": 0}"#, 2, 70, "'rate' wants an integer from 1"),
    (#""residual": {"kind": "hyper", "iterations": 3}"#, 2, 62, "'residual': unknown key \"iterations\""),
    (#""residual": {"kind": "frac", "rate": 5}"#, 2, 69, "'rate' wants a divisor of the width 32, got 5"),
    (#""residual": 7"#, 2, 44, "'residual' wants an object, got 7"), (#""mode": "run""#, 2, 40, "'mode' wants one of \"train\", \"infer\""),
    (#""embedding": {"kind": "over-encoding", "orders": 0}"#, 2, 81, "'orders' wants an integer from 1"),
    (#""embedding": {"kind": "over-encoding", "orders": 5, "slices": 9}"#, 2, 94, "'slices' wants at most 32 tables to share the width, got 36"),
    (#""embedding": {"kind": "byte-hash"}"#, 2, 45, "'embedding' wants a key 'rows'"),
    (#""embedding": {"kind": "byte-hash", "rows": 5, "first": 4, "last": 3}"#, 2, 98, "'last' wants an order of at least 4, got 3"),
    (#""engram": {"layers": [0, 0], "rows": 7, "row_width": 4}"#, 2, 53, "'layers' names a block twice"),
    (#""engram": {"layers": [2], "rows": 7, "row_width": 4}"#, 2, 54, "'layers' wants integers from 0 to 1, got 2"),
    (#""residual": {"kind": "frac"}, "engram": {"layers": [0]}"#, 2, 72, "'engram' wants whole residual streams"),
    (#""prediction": {"kind": "multi-token", "depth": 0}"#, 2, 79, "'depth' wants an integer from 1"),
    (#""optimizer": {"schedule": "cosine"}"#, 2, 45, "'total' wants the last step of the cosine"),
  ])
  func errors(_ keys: String, _ line: Int, _ column: Int, _ message: String) {
    let error = #expect(throws: Diagnostic.self) { _ = try program(keys) }
    #expect(error?.location == Location(file: "config.json", line: line, column: column))
    #expect(error?.message.contains(message) == true, "\(String(describing: error))")
  }

  @Test("row numbers that do not fit 64 bits are an error")
  func largeRows() throws {
    let text = #"{"architecture": "language-model", "vocabulary": 1099511627776, KEYS, "width": 4, "layers": 0, "heads": 1, "feed_forward": {"hidden": 4}}"#
    let error = #expect(throws: Diagnostic.self) {
      _ = try program(#""embedding": {"kind": "over-encoding", "rows": 109951162777}"#, in: text)
    }
    #expect(error?.message.contains("wants row numbers that fit 64 bits") == true)
  }

  @Test("ids of no token are an error before anything runs")
  func ids() throws {
    let program = try program(#""tied": true"#)
    let ids = try HostTensor(.i64(1, 3), integers: [0, 61, 2])
    let error = #expect(throws: Diagnostic.self) { try program.check(ids, for: "tokens") }
    #expect(error?.message == "the input 'tokens' wants ids below 61, got 61 at element 1")
    try program.check(HostTensor(.i64(1, 3), integers: [0, 60, -1]), for: "targets")
  }

  @Test("tables' rows may be left out, and what they collide on is said")
  func rows() throws {
    let program = try program(#""embedding": {"kind": "over-encoding"}"#)
    let table = try #require(program.parameters.first { $0.name == "embed.tables.0.weight" })
    #expect(table.type.shape[0] == Int((61 * 16.618_034).rounded()))
    #expect(program.configuration.notes.count == 1)
  }

  /// The lengths in the specification's table, which a search over all short vectors confirms.
  @Test("the shortest collision is that of the lattice", arguments: [
    (50280, 3_200_000, 0.58), (50280, 3_217_920, 0.04), (50280, 1_533_540, 0.05), (100_278, 12_800_000, 1.03),
    (32000, 12_800_000, 0.11), (128_000, 12_800_000, 0.03), (129_280, 12_800_000, 0.36), (163_840, 16_476_898, 0.85),
    (131_072, 10_223_617, 0.02), (4096, 12_800_000, 0.87),
  ])
  func collisions(vocabulary: Int, rows: Int, length: Double) {
    #expect(abs(HashedRows.collisionLength(base: vocabulary, rows: rows) - length) < 0.006)
  }

  @Test("golden rows have no short collisions", arguments: [256, 2048, 32000, 50280, 128_000, 151_936])
  func golden(vocabulary: Int) {
    for multiple in [2, 16, 64, 128] {
      let rows = HashedRows.golden(vocabulary: vocabulary, multiple: multiple)
      #expect(HashedRows.collisionLength(base: vocabulary, rows: rows) > 0.75)
    }
  }

  private static let mixtureModel = """
    {"architecture": "language-model", "vocabulary": 61, "width": 32, "layers": 2, "heads": 4,
    "feed_forward": {"kind": "moe", "hidden": 12, KEYS}}
    """

  @Test("what is wrong with a mixture of experts is said where it stands", arguments: [
    (#""experts": 0, "top": 1"#, 58, "'experts' wants an integer from 1"), (#""experts": 4, "top": 0"#, 68, "'top' wants an integer from 1"),
    (#""experts": 4, "top": 5"#, 68, "'top' wants at most the 4 experts, got 5"), (#""experts": 4"#, 17, "'feed_forward' wants a key 'top'"),
    (#""experts": 4, "top": 2, "routing": "expert""#, 82, "'routing' wants one of \"token-choice\", "),
    (#""experts": 4, "top": 2, "momentum": 2"#, 83, "'momentum' wants a number from 0.0 to 1.0"),
    (#""experts": 4, "top": 2, "plr_weight": 1"#, 71, "'feed_forward': unknown key \"plr_weight\""),
    (#""experts": 4, "top": 2, "target_width": 1"#, 71, "'feed_forward': unknown key \"target_width\""),
  ])
  func mixtureErrors(_ keys: String, _ column: Int, _ message: String) {
    let error = #expect(throws: Diagnostic.self) { _ = try program(keys, in: Self.mixtureModel) }
    #expect(error?.location == Location(file: "config.json", line: 2, column: column), "\(String(describing: error))")
    #expect(error?.message.contains(message) == true, "\(String(describing: error))")
  }

  @Test("what is wrong with a memory is said where it stands", arguments: [
    (#""kind": "pkm", "keys": 8, "top": 9, "key_width": 4"#, "'top' wants at most as many winners as there are keys, 8, got 9"),
    (#""kind": "pkm", "keys": 8, "top": 2, "key_width": 5"#, "'key_width' wants an even width, to be cut into two halves, got 5"),
    (#""kind": "pkm", "keys": 8, "top": 2, "key_width": 4, "rank": 2"#, "'memory': unknown key \"rank\""),
    (#""kind": "pkm", "keys": 1000000, "top": 2, "key_width": 4"#, "'keys' makes a table of 1000000² rows of 32, which is too large"),
    (#""kind": "ultramem", "keys": 8, "top": 2, "key_width": 5"#, "'key_width' wants a width that 2 ranks divide, got 5"),
    (#""kind": "ultramem", "keys": 8, "top": 2, "key_width": 4, "expansion": 6"#, "'expansion' wants a perfect square, got 6"),
    (#""kind": "ultramem", "keys": 8, "top": 2, "key_width": 4, "cores": 3"#, "'value_width' wants a width that 3 cores divide, got 16"),
    (#""kind": "ultramem", "keys": 8, "top": 2, "key_width": 4, "heads": 4, "queries": 3"#, "'queries' wants a divisor of the 4 heads, got 3"),
    (#""kind": "ultramem", "keys": 8, "top": 2, "key_width": 4, "candidates": 3"#, "unknown key \"candidates\""),
    (#""kind": "ultramem-v2", "keys": 8, "top": 5, "key_width": 4, "candidates": 2"#, "'candidates' wants at least 5 pairs of candidates, got 2²"),
    (#""kind": "ultramem-v2", "keys": 8, "top": 2, "key_width": 4, "ring": 2"#, "'ring' wants at most one layer for each of the 1 blocks, got 2"),
    (#""kind": "pkm", "keys": 8, "top": 2, "key_width": 4, "placements": [{"from": 1, "to": 0}]"#, "'to' wants a block from 1 on, where the memory reads, got 0"),
    (#""kind": "pkm", "keys": 8, "top": 2, "key_width": 4, "placements": [{"from": 1, "to": 2}]"#, "'to' wants one of 2 blocks, counted from 0, got 2"),
    (#""kind": "memory-plus", "keys": 8, "top": 2, "placements": [{"from": 0, "to": 1}]"#, "'to' wants block 0, whose feed-forward the memory replaces, got 1"),
    (#""kind": "memory-plus", "keys": 8, "top": 2, "placements": [{"from": 1, "to": 1}, {"from": 1, "to": 1}]"#, "'from' wants a block whose feed-forward no other memory replaces, got 1"),
  ])
  func memoryErrors(_ keys: String, _ message: String) {
    let error = #expect(throws: Diagnostic.self) { _ = try program("\"memory\": {\(keys)}") }
    #expect(error?.location.line == 2)
    #expect(error?.message.contains(message) == true, "\(String(describing: error))")
  }

  @Test("a missing key is named")
  func missing() {
    let text = #"{"architecture": "language-model", "vocabulary": 61}"#
    let error = #expect(throws: Diagnostic.self) { _ = try program("", in: text) }
    #expect(error?.message == "the configuration wants a key 'width'" || error?.message == "the configuration wants a key 'layers'")
  }

  @Test("sizes no machine has are an error", arguments: [
    #""vocabulary": 1099511627776, "width": 16777216, "heads": 1, "kv_heads": 1"#,
    #""vocabulary": 9223372036854775807, "width": 4, "heads": 1"#, #""vocabulary": 5, "width": 4, "heads": 16777216"#,
  ])
  func sizes(_ sizes: String) {
    let text = #"{"architecture": "language-model", KEYS, "layers": 1, "feed_forward": {"hidden": 16777216}}"#
    #expect(throws: Diagnostic.self) { _ = try program(sizes, in: text) }
  }

  @Test("inputs are held to what the program takes")
  func inputs() throws {
    let program = try program(#""tied": true"#)
    let rejected: [[String: TensorType]] = [
      [:], ["tokens": .f32(2, 3)], ["tokens": .i64(2)], ["tokens": .i64(2, 0)],
      ["tokens": .i64(2, 3), "targets": .i64(2, 4)], ["tokens": .i64(2, 3), "mask": .i64(2, 3)],
    ]
    for types in rejected { #expect(throws: Diagnostic.self) { _ = try program.trace(inputs: types) } }
    let function = try program.trace(inputs: ["tokens": .i64(2, 3)])
    #expect(function.resultNames == ["logits"])
    #expect(function.types(of: function.results) == [.f32(2, 3, 61)])
  }

  @Test("layers treat a parameter as its name says", arguments: GoldenCases.names(""))
  func groups(name: String) throws {
    let program = try Program(Configuration(GoldenCases.file(name).config))
    for parameter in program.trained {
      #expect(parameter.decays == ParameterNames.decays(parameter.name), "\(parameter)")
      #expect(parameter.isTable == ParameterNames.isTable(parameter.name), "\(parameter)")
      if case .floats(let values) = parameter.initialValues(seed: 1) {
        // A threshold that nobody set is infinite.
        let isSound = parameter.role == .buffer || values.allSatisfy(\.isFinite)
        #expect(values.count == parameter.type.count && isSound)
      }
    }
  }

  @Test("a new model is the same for the same seed, and finite")
  func newModel() throws {
    let program = try program(#""residual": {"kind": "ghc"}"#)
    let (first, again, other) = (
      try program.initialTensors(seed: 1), try program.initialTensors(seed: 1), try program.initialTensors(seed: 2)
    )
    #expect(first.count == program.parameters.count)
    for (name, tensor) in first {
      #expect(tensor == again[name])
      #expect(tensor.doubles.allSatisfy { $0.isFinite })
    }
    #expect(first["output.weight"] != other["output.weight"])
    let deviation = try #require(first["output.weight"]).doubles.reduce(0) { $0 + $1 * $1 } / (61 * 32)
    #expect(abs(deviation.squareRoot() - 0.02) < 0.002)
  }

  @Test("a traced program is read back as it was printed", arguments: ["lm-residual", "lm-hyper-dynamic-4", "lm-mhc-2", "adamw-lazy-rows"])
  func text(name: String) throws {
    let file = try GoldenCases.file(name)
    var inputs: [String: TensorType] = [:]
    for input in file.names(of: .input) { inputs[input] = file.type(of: .input, input) }
    let function = try Program(Configuration(file.config)).trace(inputs: inputs)
    let text = function.description
    let read = try Module(parsing: text, ops: OpSet.table)
    #expect(read.functions.first?.description == text)
  }

  @Test("a training step gives every state its next value in place")
  func donations() throws {
    let program = try program(#""residual": {"kind": "hyper"}, "optimizer": {}"#)
    let forward = try program.trace(inputs: ["tokens": .i64(1, 2), "targets": .i64(1, 2)])
    let step = try program.trainingStep(continuing: forward, optimizer: AdamW())
    for (parameter, result) in step.donations {
      #expect(step.name(of: step.parameters[parameter]) == step.resultNames[result])
      #expect(step.type(of: step.parameters[parameter]) == step.type(of: step.results[result]))
    }
    #expect(step.donations.count == 3 * program.trained.count + 1)
  }
}

extension Function {
  fileprivate func types(of values: [Value]) -> [TensorType] { values.map { type(of: $0) } }
}
