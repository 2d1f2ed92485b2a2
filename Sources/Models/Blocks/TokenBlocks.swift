import DSL
import IR
import Runtime

/// The embedding of a language model, alone: `y`, and the rows that its hashed tables are asked for.
struct EmbeddingBlock: Architecture {
  private let embedding: EmbeddingChoice
  let inputs: [ProgramInput]

  init(_ fields: inout Fields) throws(Diagnostic) {
    let vocabulary = try fields.int("vocabulary", in: 1...Fields.largest)
    let width = try fields.size("width")
    embedding = try EmbeddingChoice(try fields.requiredFields("embedding"), vocabulary: vocabulary, width: width)
    inputs = [.tokens(below: vocabulary)]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let tokens = inputs.input("tokens")
    return trace.at(#fileID, #line, #column) {
      [("y", embedding(tokens))] + stacked(embedding.rows(of: tokens))
    }
  }
}

/// One Engram, without the residual state it is added to: `y`, and the rows that its tables are asked for.
struct EngramBlock: Architecture {
  private let engram: EngramOptions
  let inputs: [ProgramInput]

  /// What an `Engram` is made of; the layer itself belongs to a trace.
  private struct EngramOptions: Sendable {
    let vocabulary, width, streams: Int
    let options: Engram.Options
    var layer: Engram { Engram(vocabulary: vocabulary, width: width, streams: streams, options) }
  }

  init(_ fields: inout Fields) throws(Diagnostic) {
    let vocabulary = try fields.int("vocabulary", in: 1...Fields.largest)
    let width = try fields.size("width")
    let streams = try fields.int("streams", default: 1, in: 1...256)
    var options = try fields.requiredFields("engram")
    engram = EngramOptions(
      vocabulary: vocabulary, width: width, streams: streams, options: try Engram.Options(&options, vocabulary: vocabulary))
    try options.finish()
    inputs = [
      .tokens(below: vocabulary),
      ProgramInput("streams", .f32, [.free("B"), .free("T"), .fixed(streams), .fixed(width)]),
    ]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let tokens = inputs.input("tokens")
    return trace.at(#fileID, #line, #column) {
      trace.scope("engram") {
        [("y", engram.layer.memory(for: inputs.input("streams"), tokens))] + stacked(engram.layer.rows(of: tokens))
      }
    }
  }
}

/// Row numbers as one output `[tables, batch, length]`, if there are any.
private func stacked(_ rows: [Tensor]) -> [(name: String, tensor: Tensor)] {
  rows.isEmpty ? [] : [("rows", Tensor.concatenated(rows.map { $0.insertingAxis(0) }, axis: 0))]
}

extension ProgramInput {
  /// Ids `[batch, length]`.
  static func tokens(below vocabulary: Int, named name: String = "tokens", isOptional: Bool = false) -> ProgramInput {
    ProgramInput(name, .i64, [.free("B"), .free("T")], isOptional: isOptional, below: vocabulary)
  }
}
