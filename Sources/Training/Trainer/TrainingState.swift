import IR
import Models
import Runtime

/// Where a training run is, and what its order of data follows from: with the tensors, all that it goes on from.
public struct TrainingState: Hashable, Sendable {
  /// Steps done; the place in the data follows from it.
  public var step: Int
  public var batches: BatchSettings
  public var data: DataIdentity
  /// The share that a running average of the weights keeps of itself in a step; `nil` for no average.
  public var averageDecay: Double?
  /// Seconds spent so far.
  public var seconds: Double

  public init(step: Int, batches: BatchSettings, data: DataIdentity, averageDecay: Double? = nil, seconds: Double) {
    self.step = step
    self.batches = batches
    self.data = data
    self.averageDecay = averageDecay
    self.seconds = seconds
  }

  private static let format = "millrace training state 1"

  /// As it stands in the head of a safetensors file.
  var metadata: [String: String] {
    var metadata = [
      "format": Self.format, "step": "\(step)", "batch": "\(batches.batch)", "seed": "\(batches.seed)",
      "data": data.source, "data_bytes": "\(data.bytes)", "data_crc32": "\(data.crc32)", "seconds": "\(seconds)",
    ]
    metadata["tokens"] = batches.tokenizer
    metadata["length"] = batches.length.map { "\($0)" }
    metadata["label_dropout"] = batches.labelDropout.map { "\($0)" }
    metadata["average_decay"] = averageDecay.map { "\($0)" }
    return metadata
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
    func optional<T: LosslessStringConvertible>(_ key: String) throws(Diagnostic) -> T? {
      metadata[key] == nil ? nil : try value(key)
    }
    let batches = BatchSettings(
      batch: try value("batch"), length: try optional("length"), tokenizer: metadata["tokens"], seed: try value("seed"),
      labelDropout: try optional("label_dropout"))
    try self.init(
      step: value("step"), batches: batches,
      data: DataIdentity(source: metadata["data"] ?? "", bytes: value("data_bytes"), crc32: value("data_crc32")),
      averageDecay: optional("average_decay"), seconds: value("seconds"))
    guard step >= 0, batches.batch > 0, batches.length ?? 1 > 0 else {
      throw Diagnostic("\(file): step \(step), batch \(batches.batch) and length \(batches.length ?? 1) are no state of a training run")
    }
  }
}

extension ModelDirectory {
  /// The state of its training; `nil` for a model that is no checkpoint.
  public var trainingState: TrainingState? {
    let file = "\(path)/\(Checkpoint.stateName)"
    guard exists(file), let metadata = try? TensorFile(file).metadata else { return nil }
    return try? TrainingState(metadata, of: file)
  }

  /// Tokens of the windows that a checkpoint was trained on; `nil` for a model that is none.
  public var trainedLength: Int? { trainingState?.batches.length }

  /// What makes ids of text: the tokenizer in the folder; without one the bytes, unless it was trained on ids.
  public func tokenizer() throws(Diagnostic) -> Tokenizer {
    let file = "\(path)/\(BytePairTokenizer.fileName)"
    if exists(file) { return .bytePairs(try BytePairTokenizer(file)) }
    return trainingState?.batches.tokenizer == Tokenizer.numbers.name ? .numbers : .bytes
  }

  /// Batches that the model takes; without a name of what it was trained on.
  public func batches(
    of source: String? = nil, ids: Tokens.Format? = nil, batch: Int, length: Int? = nil, seed: UInt64 = 1
  ) throws(Diagnostic) -> any BatchSource {
    guard let task = program.imageTask else {
      return try TextBatches(text(source, ids: ids), batch: batch, length: length ?? trainedLength ?? 256, seed: seed)
    }
    guard let source = source ?? trainingState?.data.source else {
      throw Diagnostic("\(path): does not say what images it was trained on; name some")
    }
    return ImageBatches(try ImageData(source, for: task), for: task, batch: batch, seed: seed)
  }

  /// A text as the model reads it; without a name the one it was trained on.
  public func text(_ source: String? = nil, ids: Tokens.Format? = nil) throws(Diagnostic) -> TextData {
    guard let source = source ?? trainingState?.data.source else {
      throw Diagnostic("\(path): does not say what text it was trained on; name one")
    }
    let tokenizer = try tokenizer()
    if let ids { return try TextData(ids: source, ids, tokenizer: tokenizer) }
    if case .numbers = tokenizer { throw Diagnostic("\(source): the model was trained on ids; say how large they are") }
    return try TextData(source, tokenizer: tokenizer, boundary: try TextData.boundary(of: json))
  }
}
