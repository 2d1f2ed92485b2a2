import IR
import Models
import Runtime

/// What a model is trained on: batches of its inputs that follow from the number of a step alone, so that a run that goes
/// on sees what it would have seen.
public protocol BatchSource: Sendable {
  /// The types of a batch, by the names of the program's inputs.
  var types: [String: TensorType] { get }
  /// What is counted in a batch, and how many there are: 2048 `tokens`.
  var unit: String { get }
  var unitsPerBatch: Int { get }
  var settings: BatchSettings { get }
  var identity: DataIdentity { get }
  /// What is kept with a model so that it can be told the same kind of text; `nil` for what is no text.
  var tokenizer: Tokenizer? { get }
  /// Throws unless a model takes these batches.
  func check(_ program: Program) throws(Diagnostic)
  /// The batch of the step after `step` steps.
  func batch(step: Int) throws(Diagnostic) -> [String: HostTensor]
  /// Batches in one pass over what is not trained on; 0 if there is none.
  var validationBatches: Int { get }
  /// A batch that is the same at all times.
  func validationBatch(_ number: Int) throws(Diagnostic) -> [String: HostTensor]
}

extension BatchSource {
  public var tokenizer: Tokenizer? { nil }
}

/// What batches follow from, besides the data and the step; a checkpoint keeps it.
public struct BatchSettings: Hashable, Sendable {
  /// Windows or images in a batch.
  public var batch: Int
  /// Tokens of a window; `nil` for what has no windows.
  public var length: Int?
  /// What made ids of a text: `bytes`, `tokenizer.json` or, if they were there before, `ids`; `nil` for what is no text.
  public var tokenizer: String?
  public var seed: UInt64
  /// The share of images that lose their label; `nil` for what has none.
  public var labelDropout: Double?

  public init(
    batch: Int, length: Int? = nil, tokenizer: String? = nil, seed: UInt64, labelDropout: Double? = nil
  ) {
    self.batch = batch
    self.length = length
    self.tokenizer = tokenizer
    self.seed = seed
    self.labelDropout = labelDropout
  }
}

/// What tells one set of data from another.
public struct DataIdentity: Hashable, Sendable {
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
  public func isSame(as other: Self) -> Bool { bytes == other.bytes && crc32 == other.crc32 }
}
