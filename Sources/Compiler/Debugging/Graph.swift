import IR

extension Function {
  /// The function as a graph in Graphviz's language: a box an operation, an arrow a value.
  public func graph() -> String {
    func quoted(_ text: String) -> String {
      "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
    }
    var lines = ["digraph \(quoted(name)) {", "  node [shape=box, fontname=monospace];"]
    var sources: [Value: String] = [:]
    for (number, parameter) in parameters.enumerated() {
      let label = name(of: parameter).isEmpty ? "parameter \(number)" : name(of: parameter)
      lines.append("  p\(number) [shape=ellipse, label=\(quoted("\(label)\n\(type(of: parameter))"))];")
      sources[parameter] = "p\(number)"
    }
    for (number, operation) in operations.enumerated() {
      let called = (operation.op as? Region)?.callee ?? (operation.op as? Launch)?.callee
      let title = called.map { "\(operation.op.name) @\($0)" } ?? operation.op.name
      let types = operation.results.map { type(of: $0).description }.joined(separator: ", ")
      let place = operation.location.isKnown ? "\n\(operation.location)" : ""
      lines.append("  o\(number) [label=\(quoted("\(title)\n\(types)\(place)"))];")
      for operand in operation.operands {
        if let source = sources[operand] { lines.append("  \(source) -> o\(number);") }
      }
      for result in operation.results { sources[result] = "o\(number)" }
    }
    for (number, result) in results.enumerated() {
      let label = resultNames.indices.contains(number) && !resultNames[number].isEmpty ? resultNames[number] : "result \(number)"
      lines.append("  r\(number) [shape=ellipse, label=\(quoted(label))];")
      if let source = sources[result] { lines.append("  \(source) -> r\(number);") }
    }
    return lines.joined(separator: "\n") + "\n}\n"
  }
}
