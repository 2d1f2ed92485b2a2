/// What the printer adds to a program.
public struct PrintOptions: Sendable {
  /// Writes each operation's model line, as `loc("file":12:3)`.
  public var locations: Bool
  public init(locations: Bool = false) { self.locations = locations }
}

extension Module: CustomStringConvertible {
  /// The program as text, which parses back to the same program.
  public func text(_ options: PrintOptions = PrintOptions()) -> String {
    let parts = functions.map { $0.text(options) } + kernels.map { $0.text() }
    return parts.joined(separator: "\n")
  }
  public var description: String { text() }
}

extension Function: CustomStringConvertible {
  public func text(_ options: PrintOptions = PrintOptions()) -> String { FunctionPrinter(self, options).text() }
  public var description: String { text() }
}

/// Lines are broken after this many characters where the format allows it.
let lineWidth = 118

/// `open` and `close` around a list: on one line, or on a line each where that would be too long.
func list(_ items: [String], _ open: String, _ close: String, after used: Int) -> String {
  let line = open + items.joined(separator: ", ") + close
  if used + line.count <= lineWidth || items.isEmpty { return line }
  return open + "\n" + items.map { "  " + $0 }.joined(separator: ",\n") + "\n" + close
}

private struct FunctionPrinter {
  let function: Function
  let options: PrintOptions
  /// What the text calls each value; values that nothing defines have a name that does not parse.
  private let names: [String]

  init(_ function: Function, _ options: PrintOptions) {
    self.function = function
    self.options = options
    var names = [String](repeating: "%<undefined>", count: function.valueCount)
    var (taken, numbered) = (Set<String>(), 0)
    for value in function.parameters + function.operations.flatMap(\.results) {
      let name = function.name(of: value)
      if !name.isEmpty, taken.insert(name).inserted {
        names[value.index] = written("%", name)
      } else {
        names[value.index] = "%\(numbered)"
        numbered += 1
      }
    }
    self.names = names
  }

  func text() -> String {
    let body = function.operations.map { "  " + line($0) + "\n" }.joined()
    let results = function.results.map { names[$0.index] }
    let end = results.isEmpty ? "  return\n" : "  return \(results.joined(separator: ", "))\n"
    return header + " {\n" + body + end + "}\n"
  }

  private var header: String {
    let start = "func \(written("@", function.name))"
    let parameters = function.parameters.enumerated().map { number, value in
      let donation = function.donations[number].map { " donates \($0)" } ?? ""
      return "\(names[value.index]): \(function.type(of: value))\(donation)"
    }
    let results = function.results.enumerated().map { number, value in
      let name = number < function.resultNames.count ? function.resultNames[number] : ""
      let type = function.type(of: value).description
      return name.isEmpty ? type : "\(written("%", name)): \(type)"
    }
    let plain = results.count == 1 && function.resultNames.allSatisfy(\.isEmpty)
    let short = plain ? results[0] : "(" + results.joined(separator: ", ") + ")"
    let open = plain ? "" : "(", close = plain ? "" : ")"
    let first = start + list(parameters, "(", ")", after: start.count + short.count + " ->  {".count)
    let used = first.split(separator: "\n").last?.count ?? 0
    return first + " -> " + list(results, open, close, after: plain ? 0 : used + " ->  {".count)
  }

  /// Attributes of regions and launches that the rest of the line says.
  private static let implied: Set<String> = ["callee", "parameters", "results"]

  private func line(_ operation: Operation) -> String {
    var line = operation.results.map { names[$0.index] }.joined(separator: ", ")
    if !line.isEmpty { line += " = " }
    line += operation.op.name
    let callee = operation.op.calledName
    if let callee { line += " " + written("@", callee) }
    if !operation.operands.isEmpty { line += " " + operation.operands.map { names[$0.index] }.joined(separator: ", ") }
    let attributes = AttributeEncoder.attributes(of: operation.op).filter {
      callee == nil || !Self.implied.contains($0.name)
    }
    if !attributes.isEmpty { line += " {" + attributes.map(\.description).joined(separator: ", ") + "}" }
    let types = operation.results.map { function.type(of: $0).description }
    if !types.isEmpty { line += " : " + types.joined(separator: ", ") }
    if options.locations, operation.location.isKnown {
      let place = operation.location
      line += " loc(\(quoted(place.file)):\(place.line):\(place.column))"
    }
    return line
  }
}

extension TensorOp {
  /// The function or kernel the op runs; its name stands before the operands.
  var calledName: String? {
    switch self {
    case let region as Region: region.callee
    case let launch as Launch: launch.callee
    default: nil
    }
  }
}
