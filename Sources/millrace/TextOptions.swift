import ArgumentParser
import Foundation
import IR
import Runtime
import Training

/// The text that a command works on, and how it becomes ids.
struct TextOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "A text file (gzip is unpacked), a folder of them, dict-gcide, Debian's English dictionary, or cfg3f, sentences of "
        + "a grammar (cfg3f:20000 for so many); for images, digits or a folder.", valueName: "file"))
  var data: String
  @Option(
    help: ArgumentHelp(
      "A byte-level tokenizer.json, by which the text becomes tokens; kept with the model.", valueName: "file"))
  var tokenizer: String?
  @Option(help: "The data is a file of token ids of this size: \(Tokens.Format.allCases.map(\.rawValue).joined(separator: ", ")).")
  var ids: Tokens.Format?
  @Option(help: ArgumentHelp("What ends a document within a file; \\n and \\t are understood.", valueName: "text"))
  var separator: String?

  func validate() throws {
    if ids != nil, separator != nil { throw ValidationError("--separator cuts text, and a file of --ids is none") }
    if separator?.isEmpty == true { throw ValidationError("--separator wants some text") }
  }

  /// The text for a model, by the tokenizer of the run that goes on, if one does.
  func data(for config: JSON, continuing checkpoint: Checkpoint?) throws(Diagnostic) -> TextData {
    var chosen: Tokenizer = ids == nil ? .bytes : .numbers
    if let tokenizer { chosen = .bytePairs(try BytePairTokenizer(tokenizer)) } else if let checkpoint { chosen = checkpoint.tokenizer }
    if let ids { return try TextData(ids: data, ids, tokenizer: chosen) }
    if tokenizer == nil, separator == nil, let sentences = try TextData(grammar: data) { return sentences }
    return try TextData(
      data, tokenizer: chosen, boundary: try TextData.boundary(of: config),
      separator: separator?.replacingOccurrences(of: "\\n", with: "\n").replacingOccurrences(of: "\\t", with: "\t"))
  }
}

extension Tokens.Format: ExpressibleByArgument {}
