import IR

/// Who makes and who reads each value of a function.
public struct Uses: Sendable {
  /// The operation that makes a value; `nil` for a parameter.
  public let definition: [Int?]
  /// The operations that read a value, in order; one that reads it twice stands twice.
  public let readers: [[Int]]
  /// Whether the function returns the value.
  public let isReturned: [Bool]

  public init(_ function: Function) {
    definition = function.definitions()
    var readers = [[Int]](repeating: [], count: function.valueCount)
    for (number, operation) in function.operations.enumerated() {
      for operand in operation.operands { readers[operand.index].append(number) }
    }
    self.readers = readers
    var isReturned = [Bool](repeating: false, count: function.valueCount)
    for result in function.results { isReturned[result.index] = true }
    self.isReturned = isReturned
  }

  public func hasOneUse(_ value: Value) -> Bool { readers[value.index].count == 1 && !isReturned[value.index] }
}
