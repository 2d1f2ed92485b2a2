import IR
import Runtime

/// Where a training run is, and what its order of data follows from: with the tensors, all that it goes on from.
public struct TrainingState: Hashable, Sendable {
  /// Steps done; the place in the data follows from it.
  public var step: Int
  public var batch: Int
  public var length: Int
  public var seed: UInt64
  public var text: TextIdentity
  /// What made ids of the text: `bytes`, `tokenizer.json` or, if they were there before, `ids`.
  public var tokens: String
  /// Seconds spent so far.
  public var seconds: Double

  public init(
    step: Int, batch: Int, length: Int, seed: UInt64, text: TextIdentity, tokens: String = "bytes", seconds: Double
  ) {
    self.step = step
    self.batch = batch
    self.length = length
    self.seed = seed
    self.text = text
    self.tokens = tokens
    self.seconds = seconds
  }

  private static let format = "millrace training state 1"

  /// As it stands in the head of a safetensors file.
  var metadata: [String: String] {
    [
      "format": Self.format, "step": "\(step)", "batch": "\(batch)", "length": "\(length)", "seed": "\(seed)",
      "data": text.source, "data_bytes": "\(text.bytes)", "data_crc32": "\(text.crc32)", "tokens": tokens,
      "seconds": "\(seconds)",
    ]
  }

  init(_ metadata: [String: String], of file: String) throws(Diagnostic) {
    guard metadata["format"] == Self.format else {
      throw Diagnostic("\(file): is no state of a training run: wants the format '\(Self.format)', got '\(metadata["format"] ?? "none")'")
    }
    func value<T: LosslessStringConvertible>(_ key: String) throws(Diagnostic) -> T {
      guard let text = metadata[key], let value = T(text) else {
        throw Diagnostic("\(file): wants a number as '\(key)', got '\(metadata[key] ?? "nothing")'")
      }
      return value
    }
    try self.init(
      step: value("step"), batch: value("batch"), length: value("length"), seed: value("seed"),
      text: TextIdentity(source: metadata["data"] ?? "", bytes: value("data_bytes"), crc32: value("data_crc32")),
      tokens: metadata["tokens"] ?? "bytes", seconds: value("seconds"))
    guard step >= 0, batch > 0, length > 0 else {
      throw Diagnostic("\(file): step \(step), batch \(batch) and length \(length) are no state of a training run")
    }
  }
}

/// What tells one text from another.
public struct TextIdentity: Hashable, Sendable {
  /// Where it was read, for people.
  public var source: String
  public var bytes: Int
  public var crc32: UInt

  public init(source: String, bytes: Int, crc32: UInt) {
    self.source = source
    self.bytes = bytes
    self.crc32 = crc32
  }

  /// Whether both have the same content.
  public func isSameText(as other: Self) -> Bool { bytes == other.bytes && crc32 == other.crc32 }
}

extension ModelDirectory {
  /// The state of its training; `nil` for a model that is no checkpoint.
  public var trainingState: TrainingState? {
    let file = "\(path)/\(Checkpoint.stateName)"
    guard exists(file), let metadata = try? TensorFile(file).metadata else { return nil }
    return try? TrainingState(metadata, of: file)
  }

  /// Tokens of the windows that a checkpoint was trained on; `nil` for a model that is none.
  public var trainedLength: Int? { trainingState?.length }

  /// What makes ids of text: the tokenizer in the folder; without one the bytes, unless it was trained on ids.
  public func tokenizer() throws(Diagnostic) -> Tokenizer {
    let file = "\(path)/\(BytePairTokenizer.fileName)"
    if exists(file) { return .bytePairs(try BytePairTokenizer(file)) }
    return trainingState?.tokens == Tokenizer.numbers.name ? .numbers : .bytes
  }

  /// A text as the model reads it; without a name the one it was trained on.
  public func text(_ source: String? = nil, ids: Tokens.Format? = nil) throws(Diagnostic) -> TextData {
    guard let source = source ?? trainingState?.text.source else {
      throw Diagnostic("\(path): does not say what text it was trained on; name one")
    }
    let tokenizer = try tokenizer()
    if let ids { return try TextData(ids: source, ids, tokenizer: tokenizer) }
    if case .numbers = tokenizer { throw Diagnostic("\(source): the model was trained on ids; say how large they are") }
    return try TextData(source, tokenizer: tokenizer, boundary: try TextData.boundary(of: json))
  }
}
