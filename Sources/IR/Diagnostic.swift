/// A place in a text: a model's Swift source or an `.ir` file.
public struct Location: Hashable, Sendable, Codable, CustomStringConvertible {
  public var file: String
  public var line: Int
  public var column: Int

  public init(file: String, line: Int, column: Int) {
    self.file = file
    self.line = line
    self.column = column
  }

  public static let unknown = Location(file: "", line: 0, column: 0)
  public var isKnown: Bool { line > 0 }
  public var description: String { isKnown ? "\(file):\(line):\(column)" : "<unknown>" }
}

/// The program, or a file given by the user, is wrong: what is wrong and where.
public struct Diagnostic: Error, Hashable, Sendable, CustomStringConvertible {
  public var message: String
  public var location: Location
  /// The source line at `location`, shown with a caret below it.
  public var line: String?
  public var notes: [Note]

  public struct Note: Hashable, Sendable {
    public var message: String
    public var location: Location
    public init(_ message: String, at location: Location) {
      self.message = message
      self.location = location
    }
  }

  public init(_ message: String, at location: Location = .unknown, line: String? = nil, notes: [Note] = []) {
    self.message = message
    self.location = location
    self.line = line
    self.notes = notes
  }

  public var description: String {
    var text = location.isKnown ? "\(location): error: \(message)" : "error: \(message)"
    if let line, location.isKnown {
      text += "\n\(line)\n\(String(repeating: " ", count: max(0, location.column - 1)))^"
    }
    for note in notes { text += "\n\(note.location): note: \(note.message)" }
    return text
  }
}

/// A rule is broken; whoever called knows where and makes a `Diagnostic` of it.
public struct Violation: Error, Hashable, Sendable, ExpressibleByStringInterpolation, CustomStringConvertible {
  public var message: String
  public init(_ message: String) { self.message = message }
  public init(stringLiteral value: String) { message = value }
  public var description: String { message }
}

/// Throws `violation` unless `condition` holds; the text is built only on failure.
public func require(_ condition: Bool, _ violation: @autoclosure () -> Violation) throws(Violation) {
  guard condition else { throw violation() }
}
