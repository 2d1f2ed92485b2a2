import IR
import Testing

@Suite("attributes") struct AttributeTests {
  static let full = Everything(
    flag: true, size: -7, unsigned: .max, scale: 1e-6, single: 0.1, label: "a \"b\" \\ \n\u{1} ü", kind: .green,
    optional: 3, optionalFlag: false, axes: [1, -2], labels: ["", "x"], kinds: [.red, .green],
    scales: [.infinity, -.infinity, 1e300, -0.0, 0.1], type: TensorType(.bf16, [2, 3]),
    types: [TensorType(.bool, []), TensorType(.f32, [8, 2], rows: 3)], group: .init(low: .min, high: .max),
    groups: [.init(low: 1), .init(low: 2, high: 3)])

  @Test("every kind of attribute survives the text", arguments: [full, Everything()])
  func roundTrip(op: Everything) throws {
    let fields = AttributeEncoder.attributes(of: op)
    let text =
      "func @f() -> f32[] {\n  %0 = everything {\(fields.map(\.description).joined(separator: ", "))} : f32[]\n  return %0\n}\n"
    let module = try Module(parsing: text, ops: SampleOps.table)
    let parsed = try #require(module.functions[0].operations[0].op as? Everything)
    #expect(parsed == op)
    #expect(parsed.scales.map(\.sign) == op.scales.map(\.sign))
    #expect(module.text() == text)
  }

  @Test("the text is what the format says")
  func text() {
    let text = AttributeEncoder.attributes(of: Self.full).map(\.description).joined(separator: ", ")
    #expect(
      text == """
        flag, size = -7, unsigned = 18446744073709551615, scale = 1e-06, single = 0.1, label = "a \\"b\\" \\\\ \\n\\u{1} ü", \
        kind = very_green, optional = 3, optionalFlag = false, axes = [1, -2], labels = ["", "x"], \
        kinds = [red, very_green], scales = [inf, -inf, 1e+300, -0.0, 0.1], type = bf16[2, 3], \
        types = [bool[], rows<3>f32[8, 2]], group = {low = -9223372036854775808, high = 9223372036854775807}, \
        groups = [{low = 1}, {low = 2, high = 3}]
        """)
  }

  @Test("a family is named by its attribute", arguments: UnaryFunction.allCases)
  func family(function: UnaryFunction) throws {
    let text = "func @f(%x: f32[2]) -> f32[2] {\n  %0 = \(function.rawValue) %x : f32[2]\n  return %0\n}\n"
    let module = try Module(parsing: text, ops: SampleOps.table)
    #expect(module.functions[0].operations[0].op as? Elementwise == Elementwise(function: function))
    #expect(module.text() == text)
  }

  @Test(
    "what is wrong with an attribute is said",
    arguments: [
      ("size = 1.5", "wants an integer (Int) as attribute 'size', got 1.5"),
      ("size = 9223372036854775808", "wants an integer (Int) as attribute 'size', got 9223372036854775808"),
      ("kind = blue", "wants one of red, very_green as attribute 'kind', got 'blue'"),
      ("kinds = [red, 3]", "wants one of red, very_green as attribute 'kinds[1]', got 3"),
      ("sise = 2", "has no attribute 'sise'; did you mean 'size'?"),
      ("group = {}", "wants attribute 'group.low'"),
      ("group = {low = 1, hihg = 2}", "has no attribute 'group.hihg'; did you mean 'high'?"),
      ("axes = 3", "wants an array as attribute 'axes', got 3"),
      ("axes = [nan]", "wants an integer (Int) as attribute 'axes[0]', got 'nan'"),
      ("label = red", "wants a string as attribute 'label', got 'red'"),
      ("scale = \"1\"", "wants a number as attribute 'scale', got \"1\""),
      ("type = f32", "wants a type as attribute 'type', got 'f32'"),
      ("flag = 1", "wants true or false as attribute 'flag', got 1"),
    ])
  func errors(attribute: String, message: String) {
    let name = attribute.prefix { $0 != " " }
    let others = AttributeEncoder.attributes(of: Everything()).filter { $0.name != name }.map(\.description)
    let text =
      "func @f() -> f32[] {\n  %0 = everything {\((others + [attribute]).joined(separator: ", "))} : f32[]\n  return %0\n}\n"
    let error = #expect(throws: Diagnostic.self) { try Module(parsing: text, ops: SampleOps.table) }
    #expect(error?.message == "'everything' \(message)")
  }
}
