/// A value of a function: an index into its tables.
public struct Value: Hashable, Sendable, Comparable {
  public let index: Int
  public init(_ index: Int) { self.index = index }
  public static func < (l: Self, r: Self) -> Bool { l.index < r.index }
}

/// An op with its operands and results, and the model line it comes from.
public struct Operation: Sendable {
  public var op: any TensorOp
  public var operands: [Value]
  public var results: [Value]
  public var location: Location

  public init(_ op: any TensorOp, _ operands: [Value], _ results: [Value], at location: Location) {
    self.op = op
    self.operands = operands
    self.results = results
    self.location = location
  }

  /// The op, if it is an `Op`. Asked for all the time, mostly in vain, where `as?` alone is slow.
  @inlinable
  public func match<Op: TensorOp>(_ type: Op.Type) -> Op? { Swift.type(of: op) == type ? op as? Op : nil }
}

/// A straight-line program: parameters, operations in order, results. A copy is a snapshot.
public struct Function: Sendable {
  public var name: String
  public private(set) var types: [TensorType] = []
  /// What the text calls each value, without the `%`; empty for a number given by the printer.
  public private(set) var names: [String] = []
  public private(set) var parameters: [Value] = []
  public var operations: [Operation] = []
  public var results: [Value] = []
  /// Names of the results, as many as `results` or none.
  public var resultNames: [String] = []
  /// Parameter number → number of the result that may take over its memory (a training state's new value).
  public var donations: [Int: Int] = [:]

  public init(name: String) { self.name = name }

  public func type(of value: Value) -> TensorType { types[value.index] }
  public func name(of value: Value) -> String { names[value.index] }
  public mutating func setName(_ name: String, of value: Value) { names[value.index] = name }
  public var valueCount: Int { types.count }

  public mutating func addValue(_ type: TensorType, name: String = "") -> Value {
    types.append(type)
    names.append(name)
    return Value(types.count - 1)
  }

  public mutating func addParameter(_ type: TensorType, name: String = "") -> Value {
    let value = addValue(type, name: name)
    parameters.append(value)
    return value
  }

  /// Leaves of the results those for which a condition on name and type holds; what only the others need is dead then.
  public mutating func keepResults(where isKept: (_ name: String, _ type: TensorType) -> Bool) {
    let kept = results.indices.filter { isKept(resultNames.isEmpty ? "" : resultNames[$0], type(of: results[$0])) }
    donations = donations.compactMapValues { kept.firstIndex(of: $0) }
    results = kept.map { results[$0] }
    if !resultNames.isEmpty { resultNames = kept.map { resultNames[$0] } }
  }

  /// The operation that makes each value, by value; `nil` for parameters.
  public func definitions() -> [Int?] {
    var definitions = [Int?](repeating: nil, count: types.count)
    for (number, operation) in operations.enumerated() {
      for result in operation.results { definitions[result.index] = number }
    }
    return definitions
  }
}

/// Appends operations to a function, checking each.
public struct FunctionBuilder {
  public var function: Function
  /// Given to every operation that is emitted.
  public var location: Location = .unknown

  public init(_ function: Function) { self.function = function }
  public init(name: String) { function = Function(name: name) }

  public mutating func parameter(_ type: TensorType, name: String = "") -> Value {
    function.addParameter(type, name: name)
  }

  public mutating func emit(_ op: any TensorOp, _ operands: [Value]) throws(Diagnostic) -> [Value] {
    let types: [TensorType]
    do {
      types = try op.infer(operands.map { function.type(of: $0) })
    } catch {
      throw Diagnostic("'\(op.name)' \(error.message)", at: location)
    }
    let results = types.map { function.addValue($0) }
    function.operations.append(Operation(op, operands, results, at: location))
    return results
  }

  /// Appends an op with one result.
  public mutating func emit(_ op: any TensorOp, _ operands: Value...) throws(Diagnostic) -> Value {
    try emit(op, operands)[0]
  }
}
