import IR
import Runtime
import Testing

@Suite("JSON") struct JSONTests {
  @Test(
    "says what the text says",
    arguments: [
      ("null", nil), (" true ", true), ("-12", -12), ("1.5e3", 1500.0), (#""a\n\u00e9\ud83d\ude00""#, "a\né😀"),
      ("[1, [2.5], {}]", [1, [2.5], [:]]), (#"{"b": 1, "a": {"c": []}}"#, ["b": 1, "a": ["c": []]]),
      ("9223372036854775807", 9_223_372_036_854_775_807), ("9223372036854775808", 9_223_372_036_854_775_808.0),
    ] as [(String, JSON)])
  func parses(text: String, wanted: JSON) throws {
    let parsed = try JSON(parsing: text, file: "t.json")
    #expect(parsed == wanted)
    #expect(try JSON(parsing: parsed.text(), file: "t.json") == wanted)
    #expect(try JSON(parsing: parsed.text(pretty: true), file: "t.json") == wanted)
  }

  @Test(
    "errors stand where the text is wrong",
    arguments: [
      ("", 1, 1, "wants a value, got the end of the text"),
      ("{\n  \"a\": 1,\n  \"é\": 2, \"a\": 3\n}", 3, 11, "key \"a\" stands there twice"),
      ("[1, 2", 1, 6, "wants ',' or ']', got the end of the text"),
      ("[1 2]", 1, 4, "wants ',' or ']', got '2'"),
      ("[1,]", 1, 4, "wants a value, got ']'"),
      ("{\"a\" 1}", 1, 6, "wants ':', got '1'"),
      ("{a: 1}", 1, 2, "wants a key, got 'a'"),
      ("01", 1, 1, "a number does not begin with 0"),
      ("-", 1, 2, "wants a digit, got the end of the text"),
      ("1e999", 1, 1, "number 1e999 is too large"),
      ("nul", 1, 1, "wants a value, got 'n'"),
      ("NaN", 1, 1, "wants a value, got 'N'"),
      ("\"a\\x\"", 1, 3, "unknown escape \\'x'"),
      ("\"\\ud800\"", 1, 2, "half of a surrogate pair"),
      ("\"\\udc00\"", 1, 2, "half of a surrogate pair"),
      ("\"\\ud800\\u0041\"", 1, 2, "half of a surrogate pair"),
      ("\"a\nb\"", 1, 3, "a string holds no control characters, got byte 10"),
      ("\"abc", 1, 1, "the string that begins here does not end"),
      ("1 x", 1, 3, "wants the end of the text, got 'x'"),
      (String(repeating: "[", count: 70), 1, 65, "is more than 64 levels deep"),
    ])
  func errors(text: String, line: Int, column: Int, message: String) {
    #expect { try JSON(parsing: text, file: "t.json") } throws: { error in
      guard let error = error as? Diagnostic else { return false }
      #expect(error.message == message)
      #expect(error.location == Location(file: "t.json", line: line, column: column))
      return true
    }
  }

  @Test("text that is no UTF-8 is refused")
  func invalidUnicode() {
    #expect(throws: Diagnostic.self) { try JSON(parsing: [0x22, 0xff, 0x22], file: "t.json") }
  }

  @Test("the number of values is bounded")
  func bounded() {
    let text = "[" + String(repeating: "[],", count: 1000) + "0]"
    #expect(throws: Diagnostic.self) { try JSON(parsing: text, file: "t.json", maximumValues: 1000) }
    #expect(throws: Never.self) { try JSON(parsing: text, file: "t.json", maximumValues: 1002) }
  }

  @Test("reading a value of the wrong kind says where and what")
  func kinds() throws {
    let config = try JSON(parsing: "{\"width\": \"8\",\n \"depth\": 4.0, \"rate\": 1}", file: "c.json")
    #expect(try config.required("depth").int() == 4)
    #expect(try config.required("rate").double() == 1)
    #expect(throws: Diagnostic("wants an integer, got \"8\"", at: Location(file: "c.json", line: 1, column: 11))) {
      try config.required("width").int()
    }
    #expect(throws: Diagnostic("wants a key \"heads\"", at: Location(file: "c.json", line: 1, column: 1))) {
      try config.required("heads")
    }
    let unknown = Diagnostic(
      "unknown key \"rate\"; there are depth, width", at: Location(file: "c.json", line: 2, column: 16))
    #expect(throws: unknown) { try config.rejectKeys(except: ["width", "depth"]) }
  }
}
