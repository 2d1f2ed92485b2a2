import Foundation
import IR
import Runtime

/// The documents of a text: a file, or all files of a folder in the order of their names, each in one piece or cut at a
/// separator.
struct TextFiles {
  private let paths: [String]
  private let separator: [UInt8]

  /// Files of a folder that are read at most.
  private static let mostFiles = 1 << 20

  init(_ source: String, separator: String?) throws(Diagnostic) {
    self.separator = Array((separator ?? "").utf8)
    if source == TextData.Dictionary.name {
      paths = [try TextData.Dictionary.path()]
    } else {
      paths = try Self.files(of: source)
    }
  }

  private static func files(of source: String) throws(Diagnostic) -> [String] {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: source, isDirectory: &isFolder), isFolder.boolValue else {
      return [source]
    }
    guard let names = FileManager.default.enumerator(atPath: source) else {
      throw Diagnostic("\(source): cannot be read")
    }
    var files: [String] = []
    for case let name as String in names where !name.split(separator: "/").contains(where: { $0.hasPrefix(".") }) {
      var isFolder: ObjCBool = false
      let path = "\(source)/\(name)"
      if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue {
        files.append(path)
      }
      guard files.count <= mostFiles else { throw Diagnostic("\(source): has more than \(mostFiles) files") }
    }
    guard !files.isEmpty else { throw Diagnostic("\(source): has no files") }
    return files.sorted()
  }

  /// The ids of all documents, each with `boundary` behind it, if there is one.
  func tokens(by tokenizer: Tokenizer, boundary: Int?) throws(Diagnostic) -> Tokens {
    if case .bytes = tokenizer, boundary == nil {
      return Tokens(bytes: try whole())
    }
    var ids: [UInt32] = []
    var encoder: BytePairEncoder?
    if case .bytePairs(let tokenizer) = tokenizer { encoder = BytePairEncoder(tokenizer) }
    let end = try boundary.map { id throws(Diagnostic) in
      guard let end = UInt32(exactly: id) else {
        throw Diagnostic("the id \(id) that ends documents is no id of a token")
      }
      return end
    }
    try forEachDocument { document throws(Diagnostic) in
      switch tokenizer {
      case .bytes: ids += document.lazy.map { UInt32($0) }
      case .bytePairs: try encoder?.append(document)
      case .numbers: ids += try tokenizer.encode(document).map { UInt32(clamping: $0) }
      }
      if let end, encoder == nil { ids.append(end) }
      if let end { encoder?.append(id: end) }
    }
    return Tokens(encoder?.ids ?? ids)
  }

  /// All files, one after the other.
  private func whole() throws(Diagnostic) -> [UInt8] {
    var text: [UInt8] = []
    try forEachFile { file in text = text.isEmpty ? file : text + file }
    return text
  }

  private func forEachFile(_ body: ([UInt8]) throws(Diagnostic) -> Void) throws(Diagnostic) {
    var left = TextData.limit
    for path in paths {
      var bytes = try readFile(path, limit: left)
      if isGzip(bytes) { bytes = try gunzip(bytes, limit: left, file: path) }
      left -= bytes.count
      try body(bytes)
    }
  }

  private func forEachDocument(_ body: ([UInt8]) throws(Diagnostic) -> Void) throws(Diagnostic) {
    try forEachFile { file throws(Diagnostic) in
      guard !separator.isEmpty else { return try body(file) }
      var start = 0
      while let end = Self.place(of: separator, in: file, from: start) {
        if end > start { try body(Array(file[start..<end])) }
        start = end + separator.count
      }
      if start < file.count { try body(Array(file[start...])) }
    }
  }

  private static func place(of part: [UInt8], in text: [UInt8], from start: Int) -> Int? {
    guard text.count - start >= part.count else { return nil }
    return (start...(text.count - part.count)).first { at in
      part.indices.allSatisfy { text[at + $0] == part[$0] }
    }
  }
}
