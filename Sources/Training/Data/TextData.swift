import IR
import Runtime

/// A text as token ids, cut into windows in an order that follows from a seed and the number of the step alone.
///
/// Each pass over the text takes every window once, in a new order and from a new start. Nothing is kept between steps,
/// so a run that goes on at step 1000 sees what the first run would have seen.
public struct TextData: Sendable {
  /// What was read, for people.
  public let source: String
  public let tokens: Tokens
  public let tokenizer: Tokenizer
  public let training: Range<Int>
  public let validation: Range<Int>
  public let identity: DataIdentity

  /// Ids there are where bytes are the tokens.
  public static let vocabulary = 256
  /// The largest text that is taken into memory.
  public static let limit = 1 << 32

  /// Ids that are there already; the last `share` of them is for validation.
  public init(
    _ tokens: Tokens, tokenizer: Tokenizer, source: String, validation share: Double = 0.05
  ) throws(Diagnostic) {
    guard (0..<1).contains(share) else { throw Diagnostic("the validation share wants 0 ..< 1, got \(share)") }
    self.source = source
    self.tokens = tokens
    self.tokenizer = tokenizer
    let split = tokens.count - Int(Double(tokens.count) * share)
    (training, validation) = (0..<split, split..<tokens.count)
    identity = DataIdentity(source: source, bytes: tokens.count * tokens.format.size, crc32: tokens.checksum)
  }

  /// Bytes as tokens.
  public init(_ bytes: [UInt8], source: String, validation share: Double = 0.05) throws(Diagnostic) {
    try self.init(Tokens(bytes: bytes), tokenizer: .bytes, source: source, validation: share)
  }

  /// Reads a file (gzip is unpacked), a folder of files, or the dictionary `dict-gcide`.
  ///
  /// - Parameter boundary: the id that ends every document, if any: every file, and every part of one before
  ///   `separator`, which is left out.
  public init(
    _ source: String, tokenizer: Tokenizer = .bytes, boundary: Int? = nil, separator: String? = nil,
    validation share: Double = 0.05
  ) throws(Diagnostic) {
    let documents = try TextFiles(source, separator: separator)
    guard separator == nil || boundary != nil else {
      throw Diagnostic(
        "a text is cut into documents only where the model has an id that ends them (its key 'boundary')")
    }
    let tokens = try documents.tokens(by: tokenizer, boundary: boundary)
    try self.init(tokens, tokenizer: tokenizer, source: source, validation: share)
  }

  /// Maps a file of ids; the tokenizer that made them is asked only for text.
  public init(
    ids path: String, _ format: Tokens.Format, tokenizer: Tokenizer = .numbers, validation share: Double = 0.05
  ) throws(Diagnostic) {
    try self.init(Tokens(file: path, format), tokenizer: tokenizer, source: path, validation: share)
  }

  /// The id that ends documents in a model's configuration, if it has one.
  public static func boundary(of config: JSON) throws(Diagnostic) -> Int? {
    guard let id = try config["embedding"]?["boundary"]?.int(), id >= 0 else { return nil }
    return id
  }

  /// Throws unless every id is one of a model's vocabulary.
  public func check(vocabulary: Int) throws(Diagnostic) {
    if let needed = tokenizer.vocabulary, needed > vocabulary {
      throw Diagnostic(
        "\(source): its \(tokenizer.unit) want a vocabulary of at least \(needed), the model has \(vocabulary)")
    }
    guard let place = tokens.firstPlace(beyond: vocabulary) else { return }
    throw Diagnostic(
      "\(source): the id \(tokens[place]) at byte \(place * tokens.format.size) is none of the model's \(vocabulary)")
  }

  /// The GNU Collaborative International Dictionary of English, as Debian packages it.
  public enum Dictionary {
    public static let name = "dict-gcide"
    static let folder = "/usr/share/dictd"

    static func path() throws(Diagnostic) -> String {
      for name in ["gcide.dict.dz", "gcide.dict"] where canRead("\(folder)/\(name)") { return "\(folder)/\(name)" }
      throw Diagnostic("\(name): there is no \(folder)/gcide.dict.dz; install the package: apt install dict-gcide")
    }
  }

  /// Throws unless there is a window of `length` tokens and the one that follows, in the part that is named.
  public func check(length: Int, for part: Part = .training) throws(Diagnostic) {
    let count = range(part).count
    guard length > 0, count > length else {
      throw Diagnostic(
        "\(source): its \(part.rawValue) part has \(count) \(tokenizer.unit), windows of \(length) want at least \(length + 1)")
    }
  }

  public enum Part: String, Sendable { case training, validation }
  private func range(_ part: Part) -> Range<Int> { part == .training ? training : validation }

  /// Windows in one pass over the training part.
  public func windows(length: Int) -> Int { max(1, (training.count - length) / length) }

  /// Where the windows of a training step begin.
  public func starts(step: Int, batch: Int, length: Int, seed: UInt64) -> [Int] {
    precondition(
      length > 0 && training.count > length && step >= 0 && batch >= 0, "windows fit the text and steps count from 0")
    let windows = windows(length: length)
    // The slack lets every pass begin elsewhere, so that no byte is always the first of its window.
    let slack = min(length, training.count - windows * length)
    return (0..<batch).map { row in
      let number = step * batch + row
      let (pass, index) = number.quotientAndRemainder(dividingBy: windows)
      let key = SplitMix64.mixed(seed &+ UInt64(pass) &* 0x9e37_79b9_7f4a_7c15)
      let shift = Int(SplitMix64.mixed(key ^ 0x5851_f42d_4c95_7f2d) % UInt64(slack))
      return training.lowerBound + shift + Shuffle(windows, key: key)[index] * length
    }
  }

  /// The windows of a training step, i64 [batch, length + 1]: inputs are all but the last column, targets all but the first.
  public func batch(step: Int, batch: Int, length: Int, seed: UInt64) throws(Diagnostic) -> HostTensor {
    try check(length: length)
    return try windows(at: starts(step: step, batch: batch, length: length, seed: seed), length: length)
  }

  /// Batches in one pass over the validation part.
  public func validationBatches(batch: Int, length: Int) -> Int {
    (max(0, validation.count - 1) / length + batch - 1) / max(1, batch)
  }

  /// Validation windows in the order of the text; the last batch begins again at the start where the text ends.
  public func validationBatch(_ number: Int, batch: Int, length: Int) throws(Diagnostic) -> HostTensor {
    try check(length: length, for: .validation)
    let count = (validation.count - 1) / length
    let starts = (0..<batch).map { validation.lowerBound + (number * batch + $0) % count * length }
    return try windows(at: starts, length: length)
  }

  private func windows(at starts: [Int], length: Int) throws(Diagnostic) -> HostTensor {
    try HostTensor(.i64(starts.count, length + 1)) { memory throws(Diagnostic) in
      let ids = memory.bindMemory(to: Int64.self)
      for (row, start) in starts.enumerated() {
        let window = ids[(row * (length + 1))...].prefix(length + 1)
        tokens.copy(start..<start + length + 1, to: UnsafeMutableBufferPointer(rebasing: window))
      }
    }
  }
}

/// A reordering of 0 ..< count that needs no memory: a Feistel network over the next power of four, walked until it
/// comes back into the range.
struct Shuffle {
  private let count: Int
  private let half: UInt64
  private let mask: UInt64
  private let key: UInt64

  init(_ count: Int, key: UInt64) {
    self.count = count
    self.key = key
    let bits = max(1, (Int.bitWidth - (count - 1).leadingZeroBitCount + 1) / 2)
    half = UInt64(bits)
    mask = (1 << half) - 1
  }

  subscript(index: Int) -> Int {
    var value = UInt64(index)
    repeat {
      var (left, right) = (value >> half, value & mask)
      for round in 0..<4 as Range<UInt64> {
        (left, right) = (right, left ^ (SplitMix64.mixed(right &+ key &+ round &* 0x9e37_79b9_7f4a_7c15) & mask))
      }
      value = left << half | right
    } while value >= UInt64(count)
    return Int(value)
  }
}
