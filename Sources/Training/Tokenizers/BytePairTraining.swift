import IR
import Runtime

extension BytePairTokenizer {
  /// Learns merges from a text: again and again the commonest pair of neighbours within words becomes a token, of equally
  /// common ones the pair with the lower ids.
  ///
  /// The ids 0 to 255 are the bytes, then come the merges, and at the end the added tokens.
  /// - Parameter vocabulary: all tokens together; fewer come out if no pair is there twice any more.
  public static func trained(
    on text: [UInt8], vocabulary: Int, adding added: [String] = []
  ) throws(Diagnostic) -> BytePairTokenizer {
    guard vocabulary >= 256 + added.count else {
      throw Diagnostic("a byte-level vocabulary wants at least \(256 + added.count) tokens, got \(vocabulary)")
    }
    var learner = MergeLearner(text)
    var merges: [Pair] = []
    while merges.count < vocabulary - 256 - added.count, let pair = learner.commonest() {
      learner.merge(pair, into: UInt32(256 + merges.count))
      merges.append(pair)
    }
    return try BytePairTokenizer(Array(Self.file(merges, added).utf8), file: fileName)
  }

  /// The file of a tokenizer with these merges.
  private static func file(_ merges: [Pair], _ added: [String]) -> String {
    var names = (0..<256).map { ByteLetters.text(of: [UInt8($0)]) }
    var lines: [JSON] = []
    for pair in merges {
      let (left, right) = (names[Int(pair.left)], names[Int(pair.right)])
      names.append(left + right)
      lines.append(.array([.string(left), .string(right)]))
    }
    var vocabulary = JSON.Object()
    for (id, name) in names.enumerated() { vocabulary.set(name, .integer(id)) }
    let extra: [JSON] = added.enumerated().map { number, content in
      [
        "id": .integer(names.count + number), "content": .string(content), "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false, "special": true,
      ]
    }
    let bytes: JSON = ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true]
    let json: JSON = [
      "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(extra), "normalizer": nil,
      "pre_tokenizer": bytes, "post_processor": nil, "decoder": bytes,
      "model": [
        "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": .object(vocabulary),
        "merges": .array(lines),
      ],
    ]
    return json.text() + "\n"
  }
}

/// The words of a text as tokens so far, and how often each pair of neighbours is there.
private struct MergeLearner {
  private typealias Pair = BytePairTokenizer.Pair

  private var words: [[UInt32]] = []
  private var counts: [Int] = []
  private var pairs: [BytePairTokenizer.Pair: Int] = [:]
  /// Words in which a pair is, or was.
  private var places: [BytePairTokenizer.Pair: [Int32]] = [:]
  private var queue = BinaryHeap<Entry>()

  /// A pair as often as it was when it was queued.
  private struct Entry: Comparable {
    let count: Int
    let pair: BytePairTokenizer.Pair
    static func < (l: Self, r: Self) -> Bool {
      (-l.count, l.pair.left, l.pair.right) < (-r.count, r.pair.left, r.pair.right)
    }
  }

  init(_ text: [UInt8]) {
    var table = ByteStringTable()
    var start = 0
    while start < text.count {
      let end = WordRule.end(of: text, from: start, to: text.count)
      let number = table.insert(text, start..<end)
      if number == counts.count { counts.append(0) }
      counts[number] += 1
      start = end
    }
    words = (0..<table.count).map { table[$0].map { UInt32($0) } }
    for number in words.indices { count(number, counts[number]) }
    for (pair, count) in pairs { queue.push(Entry(count: count, pair: pair)) }
  }

  /// The pair that is there most often, if one is at least twice.
  mutating func commonest() -> BytePairTokenizer.Pair? {
    while let entry = queue.pop() {
      let count = pairs[entry.pair] ?? 0
      if count == entry.count { return count > 1 ? entry.pair : nil }
      if count > 0 { queue.push(Entry(count: count, pair: entry.pair)) }
    }
    return nil
  }

  mutating func merge(_ pair: BytePairTokenizer.Pair, into token: UInt32) {
    for number in Set(places.removeValue(forKey: pair) ?? []).sorted() {
      let number = Int(number)
      count(number, -counts[number])
      var word: [UInt32] = []
      for symbol in words[number] {
        if symbol == pair.right, word.last == pair.left { word[word.count - 1] = token } else { word.append(symbol) }
      }
      words[number] = word
      let changed = count(number, counts[number])
      for pair in changed where pair.left == token || pair.right == token {
        queue.push(Entry(count: pairs[pair] ?? 0, pair: pair))
      }
    }
    pairs[pair] = nil
  }

  /// Counts the pairs of a word so many times, and gives them.
  @discardableResult
  private mutating func count(_ number: Int, _ count: Int) -> [BytePairTokenizer.Pair] {
    let word = words[number]
    guard word.count > 1 else { return [] }
    var found: [BytePairTokenizer.Pair] = []
    for place in 1..<word.count {
      let pair = BytePairTokenizer.Pair(left: word[place - 1], right: word[place])
      pairs[pair, default: 0] += count
      if count > 0 { places[pair, default: []].append(Int32(number)) }
      found.append(pair)
    }
    return found
  }
}
