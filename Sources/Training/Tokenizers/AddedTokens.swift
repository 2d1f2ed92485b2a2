import IR

/// Tokens that are found in a text as they stand, before it is cut into words.
struct AddedTokens: Sendable {
  struct Token: Hashable, Sendable {
    var content: [UInt8]
    var id: UInt32
    /// Only where no letter or number stands beside it.
    var isSingleWord = false
    /// The spaces before, and after, belong to it.
    var takesSpaceBefore = false
    var takesSpaceAfter = false
    /// Looked for after those that are not.
    var isNormalized = false
  }

  /// Those that are looked for first, then the others; each by first byte, the longest first.
  private let rounds: [[UInt8: [Token]]]
  let all: [Token]

  init(_ tokens: [Token]) {
    all = tokens
    rounds = [false, true].map { isNormalized in
      let round = tokens.filter { $0.isNormalized == isNormalized && !$0.content.isEmpty }
      return Dictionary(grouping: round.sorted { $0.content.count > $1.content.count }) { $0.content[0] }
    }
  }

  func id(of content: String) -> Int? {
    all.first { $0.content.elementsEqual(content.utf8) }.map { Int($0.id) }
  }

  /// A token, or with no id a piece of text that holds none; never empty.
  struct Piece: Hashable {
    var range: Range<Int>
    var id: UInt32?
  }

  func pieces(of text: [UInt8]) -> [Piece] {
    var pieces = text.isEmpty ? [] : [Piece(range: text.indices)]
    for round in rounds where !round.isEmpty {
      pieces = pieces.flatMap { $0.id == nil ? Self.pieces(of: text, $0.range, round) : [$0] }
    }
    return pieces
  }

  private static func pieces(of text: [UInt8], _ range: Range<Int>, _ tokens: [UInt8: [Token]]) -> [Piece] {
    var pieces: [Piece] = []
    var (done, at) = (range.lowerBound, range.lowerBound)
    while at < range.upperBound {
      guard let token = tokens[text[at]]?.first(where: { stands($0.content, in: text, at, range.upperBound) }) else {
        at += 1
        continue
      }
      var (start, end) = (at, at + token.content.count)
      at = end
      if token.isSingleWord, isWord(before: start, in: text, range) || isWord(at: end, in: text, range) { continue }
      if token.takesSpaceBefore {
        while start > done, let before = scalar(before: start, in: text, done), before.properties.isWhitespace {
          start -= UTF8.width(before)
        }
      }
      if token.takesSpaceAfter {
        while end < range.upperBound {
          let next = WordRule.character(text, end, range.upperBound)
          guard next.kind == .space else { break }
          end = next.end
        }
      }
      if done < start { pieces.append(Piece(range: done..<start)) }
      pieces.append(Piece(range: start..<end, id: token.id))
      (done, at) = (end, max(at, end))
    }
    if done < range.upperBound { pieces.append(Piece(range: done..<range.upperBound)) }
    return pieces
  }

  private static func stands(_ content: [UInt8], in text: [UInt8], _ start: Int, _ limit: Int) -> Bool {
    guard start + content.count <= limit else { return false }
    for offset in content.indices where text[start + offset] != content[offset] { return false }
    return true
  }

  private static func isWord(at start: Int, in text: [UInt8], _ range: Range<Int>) -> Bool {
    start < range.upperBound && isWord(WordRule.scalar(text, start, range.upperBound))
  }

  private static func isWord(before end: Int, in text: [UInt8], _ range: Range<Int>) -> Bool {
    end > range.lowerBound && isWord(scalar(before: end, in: text, range.lowerBound))
  }

  private static func scalar(before end: Int, in text: [UInt8], _ least: Int) -> Unicode.Scalar? {
    for start in stride(from: end - 1, through: max(least, end - 4), by: -1) where text[start] & 0xc0 != 0x80 {
      return WordRule.scalar(text, start, end)
    }
    return nil
  }

  /// A letter, mark, number or connector, as `\w` has it.
  private static func isWord(_ scalar: Unicode.Scalar?) -> Bool {
    guard let properties = scalar?.properties else { return false }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return properties.isAlphabetic
    }
  }
}
