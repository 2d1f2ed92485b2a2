import Foundation
import IR
import Runtime
import TestSupport
import Testing

@testable import Training

/// What must hold of byte-pair tokenizers: they do what Hugging Face's do, and keep every byte.
@Suite("tokenizers") struct TokenizerTests {
  /// Tokenizers of Hugging Face's library, and what they make of texts.
  struct Theirs: Sendable, CustomTestStringConvertible {
    let name: String
    let file: [UInt8]
    let texts: [String]
    let ids: [[Int]]
    let decoded: [String]
    var testDescription: String { name }

    static let all: [Theirs] = {
      let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Tokenizers/huggingface.json"
      do {
        let json = try JSON(file: path)
        let texts = try json.required("texts").array().map { try $0.string() }
        return try json.required("tokenizers").array().map { item in
          let decoded = try item.required("decoded").array().map { $0.isNull ? nil : try $0.string() }
          return Theirs(
            name: try item.required("name").string(), file: Array(try item.required("tokenizer").text().utf8), texts: texts,
            ids: try item.required("ids").array().map { try $0.array().map { try $0.int() } },
            decoded: zip(decoded, texts).map { $0 ?? $1 })
        }
      } catch { return [] }
    }()
  }

  @Test("there are tokenizers to compare with") func fixtures() { #expect(Theirs.all.count == 6) }

  @Test("texts get the ids that Hugging Face gives them, and come back as it has them", arguments: Theirs.all)
  func compatible(theirs: Theirs) throws {
    let tokenizer = try BytePairTokenizer(theirs.file, file: theirs.name)
    for (number, text) in theirs.texts.enumerated() {
      let ids = try tokenizer.encode(Array(text.utf8))
      #expect(ids == theirs.ids[number], "\(text.debugDescription)")
      #expect(String(decoding: tokenizer.decode(theirs.ids[number]), as: UTF8.self) == theirs.decoded[number])
    }
    // Words that were seen before are remembered, and must come out the same.
    var encoder = BytePairEncoder(tokenizer)
    for text in theirs.texts + theirs.texts { try encoder.append(Array(text.utf8)) }
    #expect(encoder.ids.map { Int($0) } == (theirs.ids + theirs.ids).flatMap { $0 })
  }

  @Test("every byte comes back, of what is no text too")
  func lossless() throws {
    let text = Array("the mill, the miller, the millstone: the mill's race — the räce".utf8)
    let tokenizer = try BytePairTokenizer.trained(on: text + text, vocabulary: 300, adding: ["<|end|>"])
    #expect(tokenizer.vocabulary <= 300 && tokenizer.vocabulary > 270)
    #expect(tokenizer.id(ofAdded: "<|end|>") == tokenizer.vocabulary - 1)
    var random = Seeded(3)
    for _ in 0..<200 {
      let bytes = (0..<Int.random(in: 0..<60, using: &random)).map { _ in
        Bool.random(using: &random) ? UInt8.random(in: 0...255, using: &random) : text.randomElement(using: &random) ?? 0
      }
      #expect(try tokenizer.decode(tokenizer.encode(bytes)) == bytes)
    }
    #expect(try tokenizer.encode(text).count < text.count * 2 / 3)
    #expect(try tokenizer.encode(Array(repeating: 97, count: 20_000)).count <= 20_000)
    #expect(tokenizer.decode([-1, 1 << 40]) == [])
  }

  @Test("the commonest pairs are merged first, of equals the lower ids")
  func learning() throws {
    let tokenizer = try BytePairTokenizer.trained(on: Array("ab ab ab cab cab xyz xyz".utf8), vocabulary: 260)
    let texts = (256..<tokenizer.vocabulary).map { String(decoding: tokenizer.decode([$0]), as: UTF8.self) }
    // "ab" is there five times, the others twice.
    #expect(texts == ["ab", " c", " x", " ab"])
    #expect(throws: Diagnostic.self) { try BytePairTokenizer.trained(on: [], vocabulary: 255) }
    #expect(try BytePairTokenizer.trained(on: [], vocabulary: 300).vocabulary == 256)
    let again = try BytePairTokenizer(tokenizer.file, file: "again")
    #expect(again.tokens == tokenizer.tokens)
  }

  private static func file(_ changes: String = "", vocab: String = #""a": 0, "b": 1, "ab": 2"#, merges: String = #""a b""#) -> String {
    """
    {"model": {"type": "BPE", "vocab": {\(vocab)}, "merges": [\(merges)]}, "pre_tokenizer": {"type": "ByteLevel"}\(changes)}
    """
  }

  @Test("what is wrong with a file is said where it stands", arguments: [
    ("{", "tokenizer.json:1:2: error: wants a key"), ("[]", "wants an object"), ("{}", "wants a key \"model\""),
    (file(merges: #""a c""#), "the token \"c\" of a merge is not in the vocabulary"),
    (file(merges: #""b a""#), "the token \"ba\" of a merge is not in the vocabulary"),
    (file(merges: #""ab""#), "a merge wants two tokens, got \"ab\""), (file(merges: #""a b c""#), "a merge wants two tokens"),
    (file(merges: "3"), "wants a string, got 3"), (file(merges: #"["a"]"#), "a merge wants two tokens"),
    (file(vocab: #""a": 0, "b": 0, "ab": 2"#), "the id 0 stands there twice"),
    (file(vocab: #""a": -1"#), "an id wants 0 to 16777215, got -1"),
    (file(vocab: #""a": 1e18"#), "an id wants 0 to 16777215, got 1000000000000000000"),
    (file(vocab: #""a": 0, "a": 1"#), "key \"a\" stands there twice"), (file(vocab: #""a": "x""#), "wants an integer"),
    (file(#", "normalizer": {"type": "NFC"}"#), "'normalizer' wants nothing, got an object: not supported"),
    (file(#", "decoder": {"type": "Metaspace"}"#), "'type' wants \"ByteLevel\", got \"Metaspace\": not supported"),
    (file(#", "added_tokens": [{"content": "a", "id": 7}]"#), "the added token \"a\" has the id 7, in the vocabulary 0"),
    (file(#", "added_tokens": [{"id": 7}]"#), "wants a key \"content\""),
    (file(#", "added_tokens": 7"#), "wants a list, got 7"),
    (file().replacing("ByteLevel", with: "Whitespace"), "the pre-tokenizer wants \"ByteLevel\", got \"Whitespace\""),
    (file().replacing("BPE", with: "Unigram"), "'type' wants \"BPE\", got \"Unigram\""),
    (file().replacing(#""BPE","#, with: #""BPE", "dropout": 0.1,"#), "'dropout' wants"),
    (file().replacing(#""BPE","#, with: #""BPE", "unk_token": "?","#), "for what is unknown, \"?\", is not in the vocabulary"),
  ])
  func hostile(text: String, message: String) {
    let error = #expect(throws: Diagnostic.self) { try BytePairTokenizer(Array(text.utf8), file: "tokenizer.json") }
    #expect(error.map { "\($0)" }?.contains(message) == true, "\(String(describing: error))")
    if text.first == "{" { #expect(error?.location.isKnown == true || message.hasPrefix("the added")) }
  }

  @Test("a file cut anywhere is an error, and a byte without a token too")
  func cut() throws {
    let whole = Array(Self.file().utf8)
    for end in stride(from: 0, to: whole.count, by: 3) {
      #expect(throws: Diagnostic.self) { try BytePairTokenizer(Array(whole[..<end]), file: "cut") }
    }
    let tokenizer = try BytePairTokenizer(whole, file: "whole")
    #expect(try tokenizer.encode(Array("".utf8)) == [])
    #expect(complaint { _ = try tokenizer.encode(Array("abc".utf8)) }.contains("no token for the byte 32"))
  }
}

/// What must hold of ids in memory and in files.
@Suite("token ids") struct TokensTests {
  @Test("ids are the same from memory and from a file", arguments: [Tokens.Format.u16, .u32])
  func files(format: Tokens.Format) throws {
    let scratch = try Scratch()
    let ids: [UInt32] = (0..<1000).map { $0 * 65 + (format == .u32 && $0 == 999 ? 1 << 20 : 0) }
    let memory = Tokens(ids)
    #expect(memory.format == format && memory.count == 1000)
    let path = try scratch.file("ids.bin", memory.withBytes { Array($0) })
    let data = try TextData(ids: path, format)
    #expect((0..<1000).allSatisfy { data.tokens[$0] == Int(ids[$0]) && memory[$0] == Int(ids[$0]) })
    #expect(data.tokens.checksum == memory.checksum)
    let windows = try data.batch(step: 0, batch: 2, length: 10, seed: 1).integers
    let starts = data.starts(step: 0, batch: 2, length: 10, seed: 1)
    #expect(windows == starts.flatMap { ids[$0...$0 + 10].map { Int64($0) } })

    try data.check(vocabulary: Int(ids[999]) + 1)
    let place = 500
    #expect(
      complaint { try data.check(vocabulary: Int(ids[place])) }
        == "\(path): the id \(ids[place]) at byte \(place * format.size) is none of the model's \(ids[place])")
    let odd = try scratch.file("odd.bin", Array(repeating: 1, count: format.size * 3 + 1))
    #expect(complaint { _ = try TextData(ids: odd, format) }.contains("do not fill"))
    let empty = try scratch.file("empty.bin", [])
    #expect(complaint { try TextData(ids: empty, format).check(length: 4) }.contains("has 0 tokens"))
    #expect(complaint { _ = try TextData(ids: scratch.folder, format) }.contains("is no regular file"))
  }

  @Test("documents end with the model's id for that")
  func documents() throws {
    let scratch = try Scratch()
    _ = try scratch.file("b.txt", Array("two".utf8))
    _ = try scratch.file("a.txt", Array("one\n\nmore".utf8))
    let joined = try TextData(scratch.folder, validation: 0)
    #expect(joined.tokens.array == Array("one\n\nmoretwo".utf8))
    func ids(_ data: TextData) -> [Int] { (0..<data.tokens.count).map { data.tokens[$0] } }
    let cut = try TextData(scratch.folder, boundary: 256, separator: "\n\n", validation: 0)
    let wanted = ["one", "more", "two"].flatMap { word in word.utf8.map { Int($0) } + [256] }
    #expect(ids(cut) == wanted)
    #expect(complaint { try cut.check(vocabulary: 256) }.contains("the id 256 at byte 6 is none of the model's 256"))
    try cut.check(vocabulary: 257)
    let tokenizer = try BytePairTokenizer.trained(on: Array("one more one more".utf8), vocabulary: 270, adding: ["<|end|>"])
    let end = try #require(tokenizer.id(ofAdded: "<|end|>"))
    let pieces = try TextData(scratch.folder, tokenizer: .bytePairs(tokenizer), boundary: end, validation: 0)
    #expect(ids(pieces).filter { $0 == end }.count == 2)
    #expect(tokenizer.decode(ids(pieces)) == Array("one\n\nmore<|end|>two<|end|>".utf8))
    #expect(complaint { _ = try TextData(scratch.folder, separator: "x") }.contains("'boundary'"))
    let hollow = scratch.path("hollow")
    try FileManager.default.createDirectory(atPath: hollow, withIntermediateDirectories: true)
    #expect(complaint { _ = try TextData(hollow) } == "\(hollow): has no files")
  }
}
