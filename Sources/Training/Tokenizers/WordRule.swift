/// The words that GPT-2's pattern cuts a text into, and byte-level tokenizers after it:
///
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// A byte that belongs to no character of UTF-8 counts as a sign.
enum WordRule {
  /// What a character is to the pattern.
  enum Kind: UInt8 { case letter, number, space, sign }

  /// Where the word ends that begins at `start`, in a text that ends at `limit`.
  static func end(of text: [UInt8], from start: Int, to limit: Int) -> Int {
    if text[start] == UInt8(ascii: "'"), let end = contraction(text, start, limit) { return end }
    var (kind, end) = character(text, start, limit)
    if text[start] == UInt8(ascii: " "), end < limit {
      let following = character(text, end, limit)
      if following.kind != .space { (kind, end) = following }
    }
    var last = start
    while end < limit {
      let next = character(text, end, limit)
      if next.kind != kind { break }
      (last, end) = (end, next.end)
    }
    // The last of several spaces goes with the word that follows.
    return kind == .space && end < limit && last > start ? last : end
  }

  private static func contraction(_ text: [UInt8], _ start: Int, _ limit: Int) -> Int? {
    guard start + 1 < limit else { return nil }
    switch text[start + 1] {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    default: break
    }
    guard start + 2 < limit else { return nil }
    switch (text[start + 1], text[start + 2]) {
    case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
      (UInt8(ascii: "l"), UInt8(ascii: "l")):
      return start + 3
    default: return nil
    }
  }

  /// The character that begins at a place: what it is, and where it ends.
  static func character(_ text: [UInt8], _ start: Int, _ limit: Int) -> (kind: Kind, end: Int) {
    let byte = text[start]
    if byte < 0x80 { return (ascii[Int(byte)], start + 1) }
    guard let scalar = scalar(text, start, limit) else { return (.sign, start + 1) }
    return (kind(of: scalar), start + UTF8.width(scalar))
  }

  /// The character of UTF-8 that begins at a place, if one does.
  static func scalar(_ text: [UInt8], _ start: Int, _ limit: Int) -> Unicode.Scalar? {
    let first = UInt32(text[start])
    let (length, least, bits): (Int, UInt32, UInt32)
    switch first {
    case 0..<0x80: return Unicode.Scalar(first)
    case 0xc2..<0xe0: (length, least, bits) = (2, 0x80, first & 0x1f)
    case 0xe0..<0xf0: (length, least, bits) = (3, 0x800, first & 0x0f)
    case 0xf0..<0xf5: (length, least, bits) = (4, 0x1_0000, first & 0x07)
    default: return nil
    }
    guard start + length <= limit else { return nil }
    var value = bits
    for byte in text[(start + 1)..<(start + length)] {
      guard byte & 0xc0 == 0x80 else { return nil }
      value = value << 6 | UInt32(byte & 0x3f)
    }
    return value < least ? nil : Unicode.Scalar(value)
  }

  static func kind(of scalar: Unicode.Scalar) -> Kind {
    let properties = scalar.properties
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
    case .decimalNumber, .letterNumber, .otherNumber: return .number
    default: return properties.isWhitespace ? .space : .sign
    }
  }

  private static let ascii: [Kind] = (0..<128).map { kind(of: Unicode.Scalar(UInt8($0))) }
}

/// The letters by which files of byte-level tokenizers write bytes: the printable ones of Latin-1 stand for themselves,
/// the others are shifted beyond.
enum ByteLetters {
  private static let letters: [Unicode.Scalar] = {
    var next: UInt32 = 256
    return (0..<256 as Range<UInt32>).map { byte in
      let isPlain = (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174
      defer { if !isPlain { next += 1 } }
      return Unicode.Scalar(isPlain ? byte : next) ?? " "
    }
  }()

  private static let bytes: [Unicode.Scalar: UInt8] = Dictionary(
    uniqueKeysWithValues: letters.enumerated().map { ($1, UInt8($0)) })

  /// The bytes that a token stands for; `nil` if one of its letters stands for none.
  static func bytes(of token: String) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in token.unicodeScalars {
      guard let byte = bytes[scalar] else { return nil }
      result.append(byte)
    }
    return result
  }

  static func text(of bytes: some Sequence<UInt8>) -> String {
    var text = String.UnicodeScalarView()
    for byte in bytes { text.append(letters[Int(byte)]) }
    return String(text)
  }
}
