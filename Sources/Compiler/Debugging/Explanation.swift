import IR
import Ops
import Passes
import Rewriting

/// Says which values a program still moves through memory, where the model makes them, and why passes left it so.
public struct Explanation: Sendable {
  /// A value that one kernel writes and others read.
  public struct Passing: Sendable {
    public let type: TensorType
    /// What makes it, and where that stands in the model.
    public let maker: String
    public let location: Location
    /// Who reads it, by name.
    public let readers: [String]
    /// Bytes written once and read by each reader.
    public let bytes: Int
  }

  /// What a pass did not do, wherever for the same reason.
  public struct Refused: Sendable {
    public let what: String
    public let reason: String
    /// Where in the model, each place once.
    public let locations: [Location]
    public let count: Int
    public let bytes: Int
  }

  public let values: [Passing]
  public let refusals: [Refused]
  public let before: Cost
  public let after: Cost

  /// Explains a function as it stands after the passes at tensor level.
  public init(of entry: String, in steps: Steps) throws(Diagnostic) {
    let last = steps.after.last { step in !step.module.functions.contains { $0.operations.contains { $0.op is Launch } } }
    let module = last?.module ?? steps.input
    guard let function = module.function(named: entry), let original = steps.input.function(named: entry) else {
      throw Diagnostic("there is no function @\(entry)")
    }
    let uses = Uses(function)
    var values: [Passing] = []
    for operation in function.operations where !(operation.op is Reshape) {
      for result in operation.results {
        // A reshape is another name for the same memory: its readers are the value's.
        var readers: [Int] = []
        var names = [result]
        while let name = names.popLast() {
          for reader in uses.readers[name.index] {
            if function.operations[reader].op is Reshape {
              names += function.operations[reader].results
            } else if !readers.contains(reader) {
              readers.append(reader)
            }
          }
        }
        guard !readers.isEmpty else { continue }
        let type = function.type(of: result)
        values.append(
          Passing(
            type: type, maker: Self.title(operation, in: module), location: operation.location,
            readers: readers.sorted().map { Self.title(function.operations[$0], in: module) },
            bytes: type.bytes * (1 + readers.count)))
      }
    }
    self.values = values.sorted { $0.bytes > $1.bytes }
    refusals = Self.grouped(steps.reports.flatMap(\.refusals))
    before = steps.input.cost(of: original)
    after = module.cost(of: function)
  }

  private static func grouped(_ refusals: [PassContext.Refusal]) -> [Refused] {
    var groups: [[String]: [PassContext.Refusal]] = [:]
    for refusal in refusals { groups[[refusal.what, refusal.reason], default: []].append(refusal) }
    let grouped = groups.map { key, all in
      var locations: [Location] = []
      for refusal in all where refusal.location.isKnown && !locations.contains(refusal.location) {
        locations.append(refusal.location)
      }
      return Refused(
        what: key[0], reason: key[1], locations: locations, count: all.count, bytes: all.reduce(0) { $0 + $1.bytes })
    }
    return grouped.sorted { ($0.bytes, $1.what, $1.reason) > ($1.bytes, $0.what, $0.reason) }
  }

  /// The op's name; of a region what it ends with.
  private static func title(_ operation: Operation, in module: Module) -> String {
    guard let region = operation.op as? Region, let body = module.function(named: region.callee) else {
      return operation.op.name
    }
    let names = body.operations.map(\.op.name).filter { !["broadcast", "reshape", "constant", "iota", "slice"].contains($0) }
    return "@\(region.callee) (\(names.count) operations, last '\(names.last ?? "nothing")')"
  }
}

extension Explanation {
  /// The explanation as text; `count` lines of each kind.
  public func text(count: Int) -> String {
    var text = "\(Cost.change(from: before, to: after)), \(before.launches) -> \(after.launches) kernels\n"
    if !values.isEmpty { text += "\nvalues that pass through memory, \(min(count, values.count)) of \(values.count):\n" }
    for value in values.prefix(count) {
      let place = value.location.isKnown ? " at \(value.location)" : ""
      text += "  \(Self.bytes(value.bytes))  \(value.type) from \(value.maker)\(place)\n"
      for reader in value.readers { text += "             read by \(reader)\n" }
    }
    if !refusals.isEmpty { text += "\nwhat passes did not do, \(min(count, refusals.count)) of \(refusals.count):\n" }
    for refusal in refusals.prefix(count) {
      let places = refusal.locations.prefix(3).map(\.description).joined(separator: ", ")
      let times = refusal.count > 1 ? ", \(refusal.count) times" : ""
      text += "  \(Self.bytes(refusal.bytes))  \(refusal.what)\(times): \(refusal.reason)\n"
      if !places.isEmpty { text += "             at \(places)\(refusal.locations.count > 3 ? ", …" : "")\n" }
    }
    return text
  }

  private static func bytes(_ count: Int) -> String {
    var (value, unit) = (Double(count), " B")
    for larger in ["kB", "MB", "GB"] where value >= 1000 { (value, unit) = (value / 1000, larger) }
    let tenths = Int((value * 10).rounded())
    let text = "\(tenths / 10).\(tenths % 10) \(unit)"
    return String(repeating: " ", count: max(0, 9 - text.count)) + text
  }
}
