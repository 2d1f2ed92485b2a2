import IR
import Runtime

/// Reads the keys of one object of a configuration and, at the end, rejects those nobody asked for.
///
/// Every error names the key and stands at its place in the file.
struct Fields {
  private let object: JSON.Object
  private let location: Location
  /// What the object describes, as errors call it.
  private let subject: String
  private var known: Set<String> = []

  init(_ json: JSON, _ subject: String) throws(Diagnostic) {
    do { object = try json.object() } catch { throw Diagnostic("\(subject) \(error.message)", at: error.location) }
    location = json.location
    self.subject = subject
  }

  /// The largest extent of an axis that a configuration may name; products of several are checked when tensors are made.
  static let largest = 1 << 40
  /// The largest width, and the largest number of things that are traced one by one.
  static let widest = 1 << 24

  /// Rejects keys that were not asked for.
  func finish() throws(Diagnostic) { try object(JSON(.object(object), at: location)) }

  private func object(_ json: JSON) throws(Diagnostic) {
    do { try json.rejectKeys(except: known) } catch {
      throw Diagnostic("\(subject): \(error.message)", at: error.location)
    }
  }

  /// The value of a key, if it is there.
  mutating func value(_ key: String) -> JSON? {
    known.insert(key)
    return object[key]
  }

  mutating func has(_ key: String) -> Bool { value(key) != nil }

  mutating func required(_ key: String) throws(Diagnostic) -> JSON {
    guard let value = value(key) else { throw Diagnostic("\(subject) wants a key '\(key)'", at: location) }
    return value
  }

  /// Where the value of a key stands, or the object, if the key is not there.
  func place(of key: String) -> Location { object[key]?.location ?? location }

  func failure(_ key: String, _ message: String) -> Diagnostic { Diagnostic("'\(key)' \(message)", at: place(of: key)) }

  func require(_ condition: Bool, _ key: String, _ message: @autoclosure () -> String) throws(Diagnostic) {
    if !condition { throw failure(key, message()) }
  }
}

// MARK: Kinds of values

extension Fields {
  private func read<T>(_ key: String, _ body: () throws(Diagnostic) -> T) throws(Diagnostic) -> T {
    do { return try body() } catch { throw Diagnostic("'\(key)' \(error.message)", at: error.location) }
  }

  /// An integer within limits; without a default the key is required.
  mutating func int(_ key: String, default fallback: Int? = nil, in range: ClosedRange<Int>) throws(Diagnostic) -> Int {
    if !has(key), let fallback { return fallback }
    let json = try required(key)
    let value = try read(key) { () throws(Diagnostic) in try json.int() }
    try require(range.contains(value), key, "wants an integer from \(range.lowerBound) to \(range.upperBound), got \(value)")
    return value
  }

  /// A list of integers within limits.
  mutating func integers(_ key: String, in range: ClosedRange<Int>) throws(Diagnostic) -> [Int] {
    let json = try required(key)
    let items = try read(key) { () throws(Diagnostic) in try json.array() }
    var integers: [Int] = []
    for item in items {
      let value = try read(key) { () throws(Diagnostic) in try item.int() }
      guard range.contains(value) else {
        let limits = "integers from \(range.lowerBound) to \(range.upperBound)"
        throw Diagnostic("'\(key)' wants \(limits), got \(value)", at: item.location)
      }
      integers.append(value)
    }
    return integers
  }

  mutating func size(_ key: String, default fallback: Int? = nil) throws(Diagnostic) -> Int {
    try int(key, default: fallback, in: 1...Fields.widest)
  }

  mutating func optionalSize(_ key: String) throws(Diagnostic) -> Int? { has(key) ? try size(key) : nil }

  /// A finite number within limits.
  mutating func number(
    _ key: String, default fallback: Double? = nil, in range: ClosedRange<Double> = 0...1e30
  ) throws(Diagnostic) -> Double {
    if !has(key), let fallback { return fallback }
    let json = try required(key)
    let value = try read(key) { () throws(Diagnostic) in try json.double() }
    try require(range.contains(value), key, "wants a number from \(range.lowerBound) to \(range.upperBound), got \(value)")
    return value
  }

  mutating func bool(_ key: String, default fallback: Bool) throws(Diagnostic) -> Bool {
    guard let json = value(key) else { return fallback }
    return try read(key) { () throws(Diagnostic) in try json.boolean() }
  }

  mutating func text(_ key: String, default fallback: String? = nil) throws(Diagnostic) -> String {
    if !has(key), let fallback { return fallback }
    let json = try required(key)
    return try read(key) { () throws(Diagnostic) in try json.string() }
  }

  /// One of the words of an enumeration.
  mutating func choice<T: RawRepresentable<String> & CaseIterable>(
    _ key: String, default fallback: T? = nil
  ) throws(Diagnostic) -> T {
    if !has(key), let fallback { return fallback }
    let word = try text(key)
    guard let choice = T(rawValue: word) else {
      let words = T.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw failure(key, "wants one of \(words), got \"\(word)\"")
    }
    return choice
  }

  /// The object that a key holds.
  mutating func fields(_ key: String) throws(Diagnostic) -> Fields? {
    guard let json = value(key) else { return nil }
    return try Fields(json, "'\(key)'")
  }

  mutating func requiredFields(_ key: String) throws(Diagnostic) -> Fields {
    try Fields(required(key), "'\(key)'")
  }
}
