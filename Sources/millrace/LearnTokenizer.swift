import ArgumentParser
import IR
import Runtime
import Training

/// `millrace tokenizer`: learns a byte-pair tokenizer from a text.
struct LearnTokenizer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenizer", abstract: "Learn a byte-level byte-pair tokenizer from a text.",
    discussion: "Writes a tokenizer.json, which 'millrace train --tokenizer' and Hugging Face's libraries read.")

  @Option(help: ArgumentHelp("A text file (gzip is unpacked), a folder of them, or dict-gcide.", valueName: "file"))
  var data: String
  @Option(help: "Tokens: the 256 bytes, what is added, and merges.")
  var vocabulary = 4096
  @Option(
    help: ArgumentHelp(
      "A token that is found in texts as it stands, such as <|endoftext|>. Repeatable.", valueName: "text"))
  var add: [String] = []
  @Option(help: ArgumentHelp("The file to write.", valueName: "file"))
  var out = BytePairTokenizer.fileName

  func validate() throws {
    try check("vocabulary", vocabulary, 256...1 << 20)
    if add.contains("") { throw ValidationError("--add wants some text") }
  }

  func run() throws {
    let text = try TextData(data, validation: 0)
    let tokenizer = try text.tokens.withBytes { bytes throws(Diagnostic) in
      try BytePairTokenizer.trained(on: Array(bytes), vocabulary: vocabulary, adding: add)
    }
    try AtomicFile.write(String(decoding: tokenizer.file, as: UTF8.self), to: out)
    print("\(out): \(tokenizer.vocabulary) tokens")
  }
}
