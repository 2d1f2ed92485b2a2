import IR
import Runtime

/// A context-free grammar without recursion: draws sentences, and says whether one belongs to its language.
///
/// Language models that are trained on such sentences can be judged by what they write: a sentence is right or wrong.
public struct Grammar: Sendable {
  public let name: String
  /// What each symbol may become, each as likely; symbols without rules are the words.
  let rules: [Int: [[Int]]]
  let root: Int
  /// Symbols with rules, each after all that its rules name.
  private let order: [Int]

  /// The ids that stand around every sentence; its words are between them.
  public static let start = 0
  public let end: Int

  init(_ name: String, root: Int, _ rules: [Int: [[Int]]]) {
    self.name = name
    self.rules = rules
    self.root = root
    var order: [Int] = []
    func visit(_ symbol: Int) {
      guard let choices = rules[symbol], !order.contains(symbol) else { return }
      for part in choices.flatMap(\.self) { visit(part) }
      order.append(symbol)
    }
    visit(root)
    self.order = order
    end = 1 + (rules.values.flatMap { $0.flatMap(\.self) }.filter { rules[$0] == nil }.max() ?? 0)
  }

  /// Ids there are: start, words, end.
  public var vocabulary: Int { end + 1 }

  /// The grammar of the over-tokenized transformer's toy experiment, of Allen-Zhu and Li (arXiv 2305.13673): three words,
  /// six levels of rules of two or three parts, sentences of 64 to 729 words.
  public static let cfg3f = Grammar("cfg3f", root: 22, [
    22: [[20, 21], [20, 19, 21], [21, 19, 19], [20, 20]],
    21: [[18, 17], [17, 16], [16, 17, 18], [16, 18]],
    20: [[16, 16], [16, 17], [17, 16, 18]],
    19: [[18, 16, 18], [17, 18], [18, 18]],
    18: [[14, 15, 13], [15, 13, 13], [13, 15]],
    17: [[15, 14, 13], [14, 15], [15, 14]],
    16: [[15, 15], [13, 15, 13], [14, 13], [14, 14]],
    15: [[10, 11, 11], [11, 11, 10], [10, 10], [12, 12, 11]],
    14: [[10, 12], [12, 10, 12], [12, 11], [10, 12, 12]],
    13: [[11, 12], [12, 11, 12], [10, 12, 11]],
    12: [[7, 9, 7], [9, 8], [8, 8, 9]],
    11: [[8, 8], [9, 7], [9, 7, 7]],
    10: [[8, 9, 9], [9, 7, 9], [7, 9, 9]],
    9: [[1, 2, 1], [3, 3], [1, 1]],
    8: [[3, 1, 1], [1, 2], [3, 3, 1]],
    7: [[2, 2, 1], [3, 2, 2], [3, 1, 2], [3, 2]],
  ])

  /// Every grammar there is, by name.
  public static let all: [Grammar] = [.cfg3f]

  /// A sentence, rule by rule.
  public func sentence<Random: RandomNumberGenerator>(using random: inout Random) -> [Int] {
    var words: [Int] = []
    var pending = [root]
    while let symbol = pending.popLast() {
      guard let choices = rules[symbol] else {
        words.append(symbol)
        continue
      }
      let choice = choices[Int(random.next() % UInt64(choices.count))]
      pending += choice.reversed()
    }
    return words
  }

  /// Whether the words are a sentence of the language: from the bottom up, which spans each symbol can stand for.
  public func accepts(_ words: [Int]) -> Bool {
    // For each symbol and each place, where what begins there may end.
    var ends: [Int: [Set<Int>]] = [:]
    for (place, word) in words.enumerated() {
      guard rules[word] == nil else { return false }
      ends[word, default: [Set<Int>](repeating: [], count: words.count + 1)][place].insert(place + 1)
    }
    for symbol in order {
      var found = [Set<Int>](repeating: [], count: words.count + 1)
      for choice in rules[symbol] ?? [] {
        for place in words.indices {
          var reached: Set<Int> = [place]
          for part in choice {
            guard let partEnds = ends[part] else {
              reached = []
              break
            }
            reached = reached.reduce(into: []) { $0.formUnion(partEnds[$1]) }
          }
          found[place].formUnion(reached)
        }
      }
      ends[symbol] = found
    }
    return ends[root]?.first?.contains(words.count) ?? false
  }

  /// The sentences in a sequence of ids: what stands whole between a start and an end.
  public func sentences(in ids: some Sequence<Int>) -> [[Int]] {
    var sentences: [[Int]] = []
    var open: [Int]?
    for id in ids {
      if id == Self.start {
        open = []
      } else if id == end {
        if let words = open { sentences.append(words) }
        open = nil
      } else {
        open?.append(id)
      }
    }
    return sentences
  }
}

extension TextData {
  /// Sentences of a grammar, one after the other: `cfg3f`, or `cfg3f:20000` for so many; `nil` if the name is of none.
  public init?(grammar source: String, seed: UInt64 = 1, validation share: Double = 0.05) throws(Diagnostic) {
    let parts = source.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let grammar = Grammar.all.first(where: { $0.name == parts[0] }) else { return nil }
    var count = Self.usualSentences
    if parts.count == 2 {
      guard let given = Int(parts[1]), (1...Self.mostSentences).contains(given) else {
        throw Diagnostic("\(source): wants a number of sentences from 1 to \(Self.mostSentences) after the colon")
      }
      count = given
    }
    var random = SplitMix64(seed: seed)
    var ids: [UInt8] = []
    for _ in 0..<count {
      ids.append(UInt8(Grammar.start))
      ids += grammar.sentence(using: &random).map { UInt8($0) }
      ids.append(UInt8(grammar.end))
    }
    try self.init(Tokens(bytes: ids), tokenizer: .numbers, source: source, validation: share)
  }

  /// About 5 million ids.
  private static let usualSentences = 20_000
  private static let mostSentences = 10_000_000
}
