import IR

extension Function {
  /// A function with the same parameters and no operations, and where the old parameters went.
  public func emptied(named name: String? = nil) -> (Function, [Value: Value]) {
    var copy = Function(name: name ?? self.name)
    var map: [Value: Value] = [:]
    for parameter in parameters {
      map[parameter] = copy.addParameter(type(of: parameter), name: self.name(of: parameter))
    }
    copy.donations = donations
    copy.resultNames = resultNames
    return (copy, map)
  }

  /// Keeps only the operations that `keep` names, in order; drops values nobody mentions and numbers the rest anew.
  public mutating func compact(keeping keep: [Bool]? = nil) {
    var (copy, map) = emptied()
    for (number, operation) in operations.enumerated() where keep?[number] ?? true {
      for result in operation.results { map[result] = copy.addValue(type(of: result), name: name(of: result)) }
      copy.operations.append(
        Operation(
          operation.op, operation.operands.map { map[$0]! }, operation.results.map { map[$0]! }, at: operation.location))
    }
    copy.results = results.map { map[$0]! }
    self = copy
  }

  /// Reads `new` wherever `map` has a value as key.
  public mutating func replaceUses(_ map: [Value: Value]) {
    guard !map.isEmpty else { return }
    func final(_ value: Value) -> Value {
      var value = value
      while let next = map[value] { value = next }
      return value
    }
    for number in operations.indices { operations[number].operands = operations[number].operands.map(final) }
    results = results.map(final)
  }

  /// Drops operations whose results nobody needs.
  public mutating func removeDeadOperations() {
    var isNeeded = [Bool](repeating: false, count: valueCount)
    for result in results { isNeeded[result.index] = true }
    var keep = [Bool](repeating: false, count: operations.count)
    for number in operations.indices.reversed() {
      guard operations[number].results.contains(where: { isNeeded[$0.index] }) else { continue }
      keep[number] = true
      for operand in operations[number].operands { isNeeded[operand.index] = true }
    }
    if keep.contains(false) { operations = operations.indices.filter { keep[$0] }.map { operations[$0] } }
  }

  /// Drops parameters that nobody reads; donations of the others keep their results.
  public mutating func dropParameters(where isDropped: (Value) -> Bool) {
    var copy = Function(name: name)
    var map: [Value: Value] = [:]
    for (number, parameter) in parameters.enumerated() where !isDropped(parameter) {
      if let result = donations[number] { copy.donations[copy.parameters.count] = result }
      map[parameter] = copy.addParameter(type(of: parameter), name: self.name(of: parameter))
    }
    for operation in operations {
      for result in operation.results { map[result] = copy.addValue(type(of: result), name: self.name(of: result)) }
      copy.operations.append(
        Operation(
          operation.op, operation.operands.map { map[$0]! }, operation.results.map { map[$0]! }, at: operation.location))
    }
    copy.results = results.map { map[$0]! }
    copy.resultNames = resultNames
    self = copy
  }
}
