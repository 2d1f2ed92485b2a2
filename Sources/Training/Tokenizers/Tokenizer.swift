import IR

/// How a text becomes token ids and ids become text.
public enum Tokenizer: Sendable {
  /// Every byte is a token.
  case bytes
  case bytePairs(BytePairTokenizer)
  /// Ids whose text nobody knows: they are written as numbers.
  case numbers

  /// Ids that a text may hold; `nil` if that is not known.
  public var vocabulary: Int? {
    switch self {
    case .bytes: TextData.vocabulary
    case .bytePairs(let tokenizer): tokenizer.vocabulary
    case .numbers: nil
    }
  }

  /// The name under which the state of a training run has it.
  var name: String {
    switch self {
    case .bytes: "bytes"
    case .bytePairs: BytePairTokenizer.fileName
    case .numbers: "ids"
    }
  }

  /// What the ids are called.
  public var unit: String {
    if case .bytes = self { return "bytes" }
    return "tokens"
  }

  public func encode(_ text: [UInt8]) throws(Diagnostic) -> [Int] {
    switch self {
    case .bytes: return text.map { Int($0) }
    case .bytePairs(let tokenizer): return try tokenizer.encode(text)
    case .numbers:
      var ids: [Int] = []
      for word in String(decoding: text, as: UTF8.self).split(whereSeparator: \.isWhitespace) {
        guard let id = Int(word), id >= 0 else {
          throw Diagnostic("the model has no tokenizer: wants token ids, separated by spaces, got '\(word)'")
        }
        ids.append(id)
      }
      return ids
    }
  }

  public func decode(_ ids: [Int]) -> [UInt8] {
    switch self {
    // Ids beyond the bytes stand between documents.
    case .bytes: ids.map { UInt8(exactly: $0) ?? UInt8(ascii: "\n") }
    case .bytePairs(let tokenizer): tokenizer.decode(ids)
    case .numbers: ids.flatMap { Array("\($0) ".utf8) }
    }
  }
}
