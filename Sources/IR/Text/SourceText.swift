/// A text with its file's name: finds the line and column of a byte, and shows lines in diagnostics.
public struct SourceText: Sendable {
  public let file: String
  let bytes: [UInt8]
  /// Where each line starts.
  private let lines: [Int]

  public init(_ text: String, file: String) {
    self.file = file
    let bytes = Array(text.utf8)
    self.bytes = bytes
    lines = [0] + bytes.indices.filter { bytes[$0] == 0x0a }.map { $0 + 1 }
  }

  /// The line and column (in characters, from 1) of a byte.
  func location(of byte: Int) -> Location {
    var (low, high) = (0, lines.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if lines[middle] <= byte { low = middle } else { high = middle }
    }
    let before = bytes[lines[low]..<min(max(byte, lines[low]), bytes.count)]
    return Location(file: file, line: low + 1, column: String(decoding: before, as: UTF8.self).count + 1)
  }

  /// A line without its end, counted from 1.
  public func line(_ number: Int) -> String? {
    guard number >= 1, number <= lines.count else { return nil }
    let end = number < lines.count ? lines[number] - 1 : bytes.count
    let line = String(decoding: bytes[lines[number - 1]..<end], as: UTF8.self)
    return line.last == "\r" ? String(line.dropLast()) : line
  }

  func diagnostic(_ message: String, at byte: Int, notes: [Diagnostic.Note] = []) -> Diagnostic {
    showing(Diagnostic(message, at: location(of: byte), notes: notes))
  }

  /// The diagnostic with the line it points at, if it points into this text.
  public func showing(_ diagnostic: Diagnostic) -> Diagnostic {
    guard diagnostic.line == nil, diagnostic.location.isKnown, diagnostic.location.file == file else {
      return diagnostic
    }
    var shown = diagnostic
    // One column a character: a tab would move the caret.
    shown.line = line(diagnostic.location.line).map { String($0.map { $0 == "\t" ? " " : $0 }) }
    return shown
  }
}

/// The program of a file test: all before the line `// after: …`, below which stands what must become of it.
public func programText(of text: String) -> String {
  text.firstRange(of: "\n// after:").map { String(text[..<$0.lowerBound]) + "\n" } ?? text
}
