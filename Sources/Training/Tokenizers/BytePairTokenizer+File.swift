import IR
import Runtime

extension BytePairTokenizer {
  /// The name under which a model's folder keeps it.
  public static let fileName = "tokenizer.json"
  /// The largest file that is read, and the largest number of tokens.
  private static let largestFile = 1 << 28, mostTokens = 1 << 24

  /// Reads a `tokenizer.json`.
  public init(_ path: String) throws(Diagnostic) { try self.init(readFile(path, limit: Self.largestFile), file: path) }

  /// Reads the text of a `tokenizer.json`; `path` is what errors call it.
  public init(_ text: [UInt8], file path: String) throws(Diagnostic) {
    let json = try JSON(parsing: text, file: path, maximumValues: 1 << 22)
    let model = try json.required("model")
    try model.accept("type", only: ["BPE"])
    for key in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] { try model.accept(key, only: ["", 0]) }
    try model.accept("byte_fallback", only: [false])
    try json.accept("normalizer", only: [])
    if let decoder = json["decoder"], !decoder.isNull { try decoder.accept("type", only: ["ByteLevel"]) }

    let words = try VocabularyFile(model.required("vocab"))
    let added = try AddedTokens(
      json["added_tokens"]?.array().map { token throws(Diagnostic) in try .init(token) } ?? [])
    var tokens = words.tokens
    for token in added.all {
      let text = String(decoding: token.content, as: UTF8.self)
      if let id = words.ids[text], id != token.id {
        throw Diagnostic("\(path): the added token \"\(text)\" has the id \(token.id), in the vocabulary \(id)")
      }
      while tokens.count <= Int(token.id) { tokens.append(nil) }
      tokens[Int(token.id)] = ByteLetters.bytes(of: text) ?? token.content
    }
    var rules = try Rules(preTokenizer: json.required("pre_tokenizer"))
    rules.fusesUnknown = try model["fuse_unk"]?.boolean() ?? false
    if let unknown = model["unk_token"], !unknown.isNull {
      guard let id = words.ids[try unknown.string()] else {
        throw Diagnostic(
          "the token for what is unknown, \(unknown.kind), is not in the vocabulary", at: unknown.location)
      }
      rules.unknown = id
    }
    file = text
    self.tokens = tokens
    self.added = added
    self.rules = rules
    bytes = (0..<256).map { words.ids[ByteLetters.text(of: [UInt8($0)])] }
    merges = try words.merges(model.required("merges"))
    whole = try model["ignore_merges"]?.boolean() ?? false ? words.whole : nil
  }

  /// The id that a token of the file has.
  fileprivate static func id(_ json: JSON) throws(Diagnostic) -> UInt32 {
    let id = try json.int()
    guard (0..<mostTokens).contains(id) else {
      throw Diagnostic("an id wants 0 to \(mostTokens - 1), got \(id)", at: json.location)
    }
    return UInt32(id)
  }
}

/// The key `vocab` of a tokenizer's file.
private struct VocabularyFile {
  private(set) var ids: [String: UInt32] = [:]
  private(set) var tokens: [[UInt8]?] = []

  init(_ json: JSON) throws(Diagnostic) {
    let members = try json.object().members
    ids.reserveCapacity(members.count)
    tokens.reserveCapacity(members.count)
    for member in members {
      let id = try BytePairTokenizer.id(member.value)
      while tokens.count <= Int(id) { tokens.append(nil) }
      guard tokens[Int(id)] == nil else {
        throw Diagnostic("the id \(id) stands there twice", at: member.value.location)
      }
      ids[member.key] = id
      tokens[Int(id)] = ByteLetters.bytes(of: member.key) ?? Array(member.key.utf8)
    }
  }

  /// Every token by its bytes.
  var whole: (table: ByteStringTable, ids: [UInt32]) {
    var table = ByteStringTable()
    var numbers: [UInt32] = []
    for (id, token) in tokens.enumerated() {
      guard let token else { continue }
      if table.insert(token, token.indices) == numbers.count { numbers.append(UInt32(id)) }
    }
    return (table, numbers)
  }

  /// The list of merges; each is "left right", or a list of the two.
  func merges(_ json: JSON) throws(Diagnostic) -> [BytePairTokenizer.Pair: BytePairTokenizer.Merge] {
    let list = try json.array()
    var merges: [BytePairTokenizer.Pair: BytePairTokenizer.Merge] = [:]
    merges.reserveCapacity(list.count)
    for (rank, item) in list.enumerated() {
      let parts = try parts(item)
      guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
        throw Diagnostic("a merge wants two tokens, got \(item.kind)", at: item.location)
      }
      func id(_ token: String) throws(Diagnostic) -> UInt32 {
        guard let id = ids[token] else {
          throw Diagnostic("the token \"\(token)\" of a merge is not in the vocabulary", at: item.location)
        }
        return id
      }
      let pair = BytePairTokenizer.Pair(left: try id(parts[0]), right: try id(parts[1]))
      merges[pair] = BytePairTokenizer.Merge(rank: rank, token: try id(parts[0] + parts[1]))
    }
    return merges
  }

  private func parts(_ item: JSON) throws(Diagnostic) -> [String] {
    guard case .array(let pair) = item.content else {
      return try item.string().split(separator: " ", omittingEmptySubsequences: false).map(String.init)
    }
    return try pair.map { part throws(Diagnostic) in try part.string() }
  }
}

extension BytePairTokenizer.Rules {
  /// The value of the key `pre_tokenizer`: byte-level, alone or as the only one of a sequence.
  init(preTokenizer json: JSON) throws(Diagnostic) {
    var rule = json
    if let list = try json["pretokenizers"]?.array() {
      guard list.count == 1 else {
        throw Diagnostic("wants \"ByteLevel\" as the only pre-tokenizer, got \(list.count) in a row", at: json.location)
      }
      rule = list[0]
    }
    try rule.required("type").accept(only: ["ByteLevel"], as: "the pre-tokenizer")
    self.init(
      addsPrefixSpace: try rule["add_prefix_space"]?.boolean() ?? true,
      cutsWords: try rule["use_regex"]?.boolean() ?? true)
  }
}

extension AddedTokens.Token {
  init(_ json: JSON) throws(Diagnostic) {
    func flag(_ key: String) throws(Diagnostic) -> Bool { try json[key]?.boolean() ?? false }
    let isSpecial = try flag("special")
    self.init(
      content: Array(try json.required("content").string().utf8), id: try BytePairTokenizer.id(json.required("id")),
      isSingleWord: try flag("single_word"), takesSpaceBefore: try flag("lstrip"), takesSpaceAfter: try flag("rstrip"),
      isNormalized: try json["normalized"]?.boolean() ?? !isSpecial)
  }
}

extension JSON {
  /// Throws if a key is there with another value than null and those given.
  fileprivate func accept(_ key: String, only values: [JSON]) throws(Diagnostic) {
    try self[key]?.accept(only: values, as: "'\(key)'")
  }

  fileprivate func accept(only values: [JSON], as name: String) throws(Diagnostic) {
    if isNull || values.contains(self) { return }
    if case .number(0) = content, values.contains(0) { return }
    let wanted = values.isEmpty ? "nothing" : values.map(\.kind).joined(separator: " or ")
    throw Diagnostic("\(name) wants \(wanted), got \(kind): not supported", at: location)
  }
}
