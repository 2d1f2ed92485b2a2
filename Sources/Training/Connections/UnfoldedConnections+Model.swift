import Compiler
import DSL
import IR
import Models
import Runtime

extension UnfoldedConnections {
  /// Whether a model's connections differ from token to token, so that they can be unfolded on batches only.
  public static func needBatches(of model: ModelDirectory) throws(Diagnostic) -> Bool {
    let function = try observed(model.program, model.program.smallestInputs)
    return function.results.contains { function.type(of: $0).rank > 2 }
  }

  /// Unfolds the connections of a model on the first batch of what it is validated on, or without batches where they do
  /// not matter.
  public init(
    of program: Program, _ tensors: [String: HostTensor], on source: (any BatchSource)?, for target: CompileTarget,
    options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    var inputs: [String: HostTensor] = [:]
    if let source {
      try source.check(program)
      guard source.validationBatches > 0 else {
        throw Diagnostic("\(source.identity.source): has nothing to validate on")
      }
      inputs = try source.validationBatch(0)
    } else {
      for (name, type) in program.smallestInputs { inputs[name] = try HostTensor(zeros: type) }
    }
    // Without what it should answer a model computes no loss.
    for input in program.inputs where input.isOptional { inputs[input.name] = nil }
    let function = try Self.observed(program, inputs.mapValues(\.type))
    let executable = try compile(Module(functions: [function]), entry: function.name, for: target, options: options)
    var values: [String: HostTensor] = [:]
    for (name, tensor) in inputs { values[ValueNames.input(name)] = tensor }
    for (name, tensor) in tensors { values[ValueNames.parameter(name)] = tensor }
    let results = try executable.run(values)
    try self.init(try Self.sites(function.resultNames, results))
  }

  /// The program that computes the connections and nothing else.
  private static func observed(_ program: Program, _ inputs: [String: TensorType]) throws(Diagnostic) -> Function {
    let names = [ConnectionNames.read, ConnectionNames.mix, ConnectionNames.write]
    var function = try program.trace(inputs: inputs) { name in names.contains { name.hasSuffix(".\($0)") } }
    function.keepResults { name, _ in name.hasPrefix(ValueNames.observed("")) }
    guard !function.results.isEmpty else { throw Diagnostic("the model has no residual sites") }
    function.name = "connections"
    return function
  }

  /// The observed values of one name belong to one site; what leads into the network and out of it share theirs.
  private static func sites(
    _ names: [String], _ results: [String: HostTensor]
  ) throws(Diagnostic) -> [SiteConnection] {
    var sites: [SiteConnection] = []
    for name in names {
      guard let tensor = results[name] else { continue }
      let matrices = try TokenMatrices(tensor)
      let path = name.dropFirst(ValueNames.observed("").count)
      let (site, kind) = path.hasSuffix(ConnectionNames.read)
        ? (path.dropLast(ConnectionNames.read.count), \SiteConnection.read)
        : path.hasSuffix(ConnectionNames.mix)
          ? (path.dropLast(ConnectionNames.mix.count), \SiteConnection.mix)
          : (path.dropLast(ConnectionNames.write.count), \SiteConnection.write)
      let label = Self.label(String(site))
      let continues = sites.last.map { $0.name == label && $0[keyPath: kind] == nil && (kind != \.read) } ?? false
      if !continues { sites.append(SiteConnection(label)) }
      sites[sites.count - 1][keyPath: kind] = matrices
    }
    return sites
  }

  /// `blocks.3.attention_site.` → `3 attention`
  private static func label(_ path: String) -> String {
    var parts = path.split(separator: ".")
    if parts.first == "blocks" { parts.removeFirst() }
    return parts.map { $0.hasSuffix("_site") ? $0.dropLast("_site".count) : $0 }.joined(separator: " ")
  }
}

extension Program {
  /// Rows of the token table; `nil` in what is no language model.
  var vocabulary: Int? { parameters.first { $0.name == "embed.token.weight" }?.type.shape.first }
}

// MARK: Showing it

extension UnfoldedConnections {
  public var json: JSON {
    func matrix(_ rows: [[Double]]) -> JSON { .array(rows.map { .array($0.map { .number($0) }) }) }
    return [
      "rows": .array(rows.map { .string($0) }), "columns": .array(columns.map { .string($0) }),
      "weights": matrix(weights),
      "sites": .array(sites.map { .string($0) }), "slots": .array(slots.map { matrix($0) }), "tokens": .integer(tokens),
    ]
  }

  /// The weights as a table, a column an output.
  public func text() -> String {
    let width = rows.map(\.count).max() ?? 0
    func padded(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - text.count)) + text
    }
    var text = padded("", width) + columns.indices.map { padded("\($0)", 8) }.joined() + "\n"
    for (name, weights) in zip(rows, weights) {
      text += name + String(repeating: " ", count: width - name.count)
      text += weights.map { padded($0 == 0 ? "·" : Show.decimals($0), 8) }.joined() + "\n"
    }
    for (number, name) in columns.enumerated() { text += "\(number): \(name)\n" }
    return text
  }

  public var heatMap: HeatMap {
    HeatMap(
      title: "What each sublayer reads of every earlier output", rowTitle: "reads", columnTitle: "output of",
      rows: rows, columns: columns, values: weights)
  }
}
