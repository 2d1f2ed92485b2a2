import IR
import Runtime
import Testing

@testable import Training

@Suite("grammars") struct GrammarTests {
  private let grammar = Grammar.cfg3f

  @Test("its own sentences are accepted, and are as long as its rules make them")
  func accepts() {
    var random = SplitMix64(seed: 5)
    for _ in 0..<6 {
      let sentence = grammar.sentence(using: &random)
      #expect((64...729).contains(sentence.count))
      #expect(Set(sentence) == [1, 2, 3])
      #expect(grammar.accepts(sentence))
    }
  }

  @Test("a sentence with a word more, less or another is mostly none")
  func rejects() {
    var random = SplitMix64(seed: 6)
    var wrong = 0
    for place in 0..<8 {
      var sentence = grammar.sentence(using: &random)
      switch place % 3 {
      case 0: sentence.remove(at: 10 + place)
      case 1: sentence.insert(sentence[place] % 3 + 1, at: place)
      default: sentence[place] = sentence[place] % 3 + 1
      }
      if !grammar.accepts(sentence) { wrong += 1 }
    }
    #expect(wrong >= 6)
    for words in [[], [1], [4, 4], [22], Array(repeating: 1, count: 100)] { #expect(!grammar.accepts(words)) }
  }

  @Test("a small grammar is known by heart")
  func small() {
    let small = Grammar("small", root: 9, [9: [[8, 8], [8, 1]], 8: [[1, 2], [2]]])
    let language: Set<[Int]> = [[1, 2, 1, 2], [1, 2, 2], [2, 1, 2], [2, 2], [1, 2, 1], [2, 1]]
    var words: [[Int]] = [[]]
    for _ in 0..<4 {
      words = words.flatMap { word in [[], [1], [2]].map { word + $0 } }
    }
    for word in Set(words) { #expect(small.accepts(word) == language.contains(word), "\(word)") }
    #expect(small.vocabulary == 4 && small.end == 3)
  }

  @Test("as a text it is whole sentences, the same every time")
  func text() throws {
    let text = try #require(try TextData(grammar: "cfg3f:3"))
    #expect(try TextData(grammar: "cfg3f:3")?.tokens.array == text.tokens.array)
    let sentences = grammar.sentences(in: text.tokens.array.map { Int($0) })
    #expect(sentences.count == 3 && sentences.allSatisfy { grammar.accepts($0) })
    try text.check(vocabulary: 5)
    #expect(throws: Diagnostic.self) { try text.check(vocabulary: 4) }
    #expect(try TextData(grammar: "cfg9") == nil)
    #expect(throws: Diagnostic.self) { _ = try TextData(grammar: "cfg3f:many") }
  }

  @Test("a model is trained on it")
  func trains() throws {
    var json = TinyModel.json
    if case .object(var object) = json.content {
      object.set("vocabulary", 5)
      object.set("embedding", ["kind": "over-encoding", "orders": 3, "rows": 125])
      json = .object(object)
    }
    let text = try #require(try TextData(grammar: "cfg3f:4"))
    let trainer = try Trainer(TinyModel.configuration(json), on: TinyModel.batches(of: text), for: TinyModel.fastest)
    let first = try trainer.advance()
    for _ in 0..<30 { _ = try trainer.advance() }
    #expect(try trainer.advance() < first)
  }
}
