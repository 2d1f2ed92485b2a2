import IR

/// A byte-level byte-pair tokenizer, as Hugging Face's `tokenizer.json` describes it.
///
/// A text is cut at the added tokens, then into words (`WordRule`); in each word the pair of neighbours that is first in
/// the list of merges becomes one token, the leftmost of equals, until no pair is in the list.
public struct BytePairTokenizer: Sendable {
  /// The file, to be kept beside a model.
  public let file: [UInt8]
  /// What each id stands for; `nil` where there is no token.
  let tokens: [[UInt8]?]
  /// The id of each byte, if it has one.
  let bytes: [UInt32?]
  /// The bytes of a word that is a token as it stands, and its id; used where merges need not be asked.
  let whole: (table: ByteStringTable, ids: [UInt32])?
  let merges: [Pair: Merge]
  let added: AddedTokens
  let rules: Rules

  /// Two neighbours.
  struct Pair: Hashable, Sendable {
    var left, right: UInt32
  }

  struct Merge: Sendable {
    /// The place in the list.
    var rank: Int
    var token: UInt32
  }

  struct Rules: Hashable, Sendable {
    /// A space comes before each piece of text that begins with none.
    var addsPrefixSpace = false
    /// Texts are cut into words.
    var cutsWords = true
    /// What stands for a byte that has no token, once for each or once for all in a row.
    var unknown: UInt32?
    var fusesUnknown = false
  }

  /// One more than the largest id.
  public var vocabulary: Int { tokens.count }

  /// The id of an added token (`<|endoftext|>`).
  public func id(ofAdded content: String) -> Int? { added.id(of: content) }

  /// The ids of a text; of bytes that are no UTF-8 too.
  public func encode(_ text: [UInt8]) throws(Diagnostic) -> [Int] {
    var encoder = BytePairEncoder(self)
    try encoder.append(text)
    return encoder.ids.map { Int($0) }
  }

  /// The bytes that ids stand for; ids without a token stand for none.
  public func decode(_ ids: some Sequence<Int>) -> [UInt8] {
    ids.flatMap { tokens.indices.contains($0) ? tokens[$0] ?? [] : [] }
  }
}

/// Encodes one text after another, and remembers the words it has seen.
struct BytePairEncoder {
  private(set) var ids: [UInt32] = []
  private let tokenizer: BytePairTokenizer
  private var words = ByteStringTable()
  private var known: [UInt32] = []
  private var knownEnds: [Int] = []

  /// Longer words and more of them are not remembered.
  private static let longest = 64, most = 1 << 20

  init(_ tokenizer: BytePairTokenizer) { self.tokenizer = tokenizer }

  /// Appends an id that stands in no text.
  mutating func append(id: UInt32) { ids.append(id) }

  mutating func append(_ text: [UInt8]) throws(Diagnostic) {
    for piece in tokenizer.added.pieces(of: text) {
      if let id = piece.id {
        ids.append(id)
      } else if tokenizer.rules.addsPrefixSpace, text[piece.range.lowerBound] != UInt8(ascii: " ") {
        let spaced = [UInt8(ascii: " ")] + text[piece.range]
        try encode(spaced, 0..<spaced.count)
      } else {
        try encode(text, piece.range)
      }
    }
  }

  private mutating func encode(_ text: [UInt8], _ range: Range<Int>) throws(Diagnostic) {
    var start = range.lowerBound
    while start < range.upperBound {
      var end = range.upperBound
      if tokenizer.rules.cutsWords { end = WordRule.end(of: text, from: start, to: end) }
      try word(text, start..<end)
      start = end
    }
  }

  private mutating func word(_ text: [UInt8], _ range: Range<Int>) throws(Diagnostic) {
    if let number = words.number(of: text, range) {
      ids += known[(number == 0 ? 0 : knownEnds[number - 1])..<knownEnds[number]]
      return
    }
    let start = ids.count
    if let whole = tokenizer.whole, let number = whole.table.number(of: text, range) {
      ids.append(whole.ids[number])
    } else {
      ids += try merged(symbols(text, range))
    }
    guard range.count <= Self.longest, words.count < Self.most else { return }
    _ = words.insert(text, range)
    known += ids[start...]
    knownEnds.append(known.count)
  }

  /// The tokens of the single bytes.
  private func symbols(_ text: [UInt8], _ range: Range<Int>) throws(Diagnostic) -> [UInt32] {
    var symbols: [UInt32] = []
    var followsUnknown = false
    for byte in text[range] {
      if let id = tokenizer.bytes[Int(byte)] {
        symbols.append(id)
        followsUnknown = false
      } else if let unknown = tokenizer.rules.unknown {
        if !(followsUnknown && tokenizer.rules.fusesUnknown) { symbols.append(unknown) }
        followsUnknown = true
      } else {
        throw Diagnostic("the tokenizer has no token for the byte \(byte), and none for what is unknown")
      }
    }
    return symbols
  }

  /// A pair of neighbours that can be merged.
  private struct Candidate: Comparable {
    let rank, left: Int
    let token: UInt32
    static func < (l: Self, r: Self) -> Bool { (l.rank, l.left) < (r.rank, r.left) }
  }

  private func merged(_ symbols: [UInt32]) -> [UInt32] {
    guard symbols.count > 1 else { return symbols }
    // Neighbours by number; a symbol that was merged into the one before it has none.
    var symbols = symbols.map { Optional($0) }
    var next = (1...symbols.count).map { $0 }
    var previous = (-1..<symbols.count - 1).map { $0 }
    var candidates = BinaryHeap<Candidate>()
    func candidate(_ left: Int) -> Candidate? {
      guard left >= 0, next[left] < symbols.count, let a = symbols[left], let b = symbols[next[left]],
        let merge = tokenizer.merges[BytePairTokenizer.Pair(left: a, right: b)]
      else { return nil }
      return Candidate(rank: merge.rank, left: left, token: merge.token)
    }
    for left in symbols.indices {
      if let found = candidate(left) { candidates.push(found) }
    }
    while let best = candidates.pop() {
      // One of the two may have been merged otherwise since.
      guard candidate(best.left) == best else { continue }
      let right = next[best.left]
      symbols[best.left] = best.token
      symbols[right] = nil
      next[best.left] = next[right]
      if next[right] < symbols.count { previous[next[right]] = best.left }
      for left in [previous[best.left], best.left] {
        if let found = candidate(left) { candidates.push(found) }
      }
    }
    return symbols.compactMap { $0 }
  }
}
