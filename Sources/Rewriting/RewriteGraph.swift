import IR

/// A function's operations as a linked list, with who makes and who reads each value kept up to date.
///
/// Every change costs as much as the operations it touches, so a pass over thousands of operations stays linear.
struct RewriteGraph {
  private(set) var function: Function
  /// Operations by slot; `nil` once removed. New ones are appended, `next` and `previous` say where they stand.
  private(set) var slots: [Operation?]
  private var next: [Int]
  private var previous: [Int]
  private var first: Int
  /// The slot that makes each value; `nil` for parameters and values not yet placed.
  private var maker: [Int?]
  /// The slots that read each value, each perhaps several times; may name removed ones.
  private var readers: [[Int]]
  /// How often each value is read or returned.
  private(set) var useCount: [Int]
  private(set) var isReturned: [Bool]

  private static let none = -1

  init(_ function: Function) {
    self.function = function
    slots = function.operations.map { $0 }
    let count = slots.count
    next = (0..<count).map { $0 + 1 < count ? $0 + 1 : Self.none }
    previous = (0..<count).map { $0 - 1 }
    first = count > 0 ? 0 : Self.none
    maker = [Int?](repeating: nil, count: function.valueCount)
    readers = [[Int]](repeating: [], count: function.valueCount)
    useCount = [Int](repeating: 0, count: function.valueCount)
    isReturned = [Bool](repeating: false, count: function.valueCount)
    for (slot, operation) in function.operations.enumerated() { note(operation, in: slot) }
    for result in function.results {
      useCount[result.index] += 1
      isReturned[result.index] = true
    }
  }

  private mutating func note(_ operation: Operation, in slot: Int) {
    for result in operation.results { maker[result.index] = slot }
    for operand in operation.operands {
      readers[operand.index].append(slot)
      useCount[operand.index] += 1
    }
  }

  mutating func addValue(_ type: TensorType) -> Value {
    maker.append(nil)
    readers.append([])
    useCount.append(0)
    isReturned.append(false)
    return function.addValue(type)
  }

  func definition(of value: Value) -> Operation? { maker[value.index].flatMap { slots[$0] } }

  /// Puts an operation before another and returns its slot.
  mutating func insert(_ operation: Operation, before slot: Int) -> Int {
    let new = slots.count
    slots.append(operation)
    next.append(slot)
    previous.append(previous[slot])
    if previous[slot] == Self.none { first = new } else { next[previous[slot]] = new }
    previous[slot] = new
    note(operation, in: new)
    return new
  }

  /// Reads `new` wherever `old` was read, and returns the slots that changed.
  mutating func replace(_ old: Value, by new: Value) -> [Int] {
    guard old != new else { return [] }
    var changed: [Int] = []
    for slot in readers[old.index] {
      guard var operation = slots[slot], operation.operands.contains(old) else { continue }
      for index in operation.operands.indices where operation.operands[index] == old {
        operation.operands[index] = new
        readers[new.index].append(slot)
        useCount[new.index] += 1
      }
      slots[slot] = operation
      changed.append(slot)
    }
    readers[old.index] = []
    if isReturned[old.index] {
      for index in function.results.indices where function.results[index] == old {
        function.results[index] = new
        useCount[new.index] += 1
      }
      isReturned[old.index] = false
      isReturned[new.index] = true
    }
    useCount[old.index] = 0
    if function.name(of: new).isEmpty, maker[new.index] != nil {
      function.setName(function.name(of: old), of: new)
    }
    return changed
  }

  /// Removes an operation if nothing reads it, then those that only it read. Returns slots that gained from it: the makers
  /// of values with one reader less.
  mutating func removeIfDead(_ slot: Int) -> [Int] {
    var pending = [slot]
    var touched: [Int] = []
    while let slot = pending.popLast() {
      guard let operation = slots[slot], operation.results.allSatisfy({ useCount[$0.index] == 0 }) else { continue }
      slots[slot] = nil
      let (before, after) = (previous[slot], next[slot])
      if before == Self.none { first = after } else { next[before] = after }
      if after != Self.none { previous[after] = before }
      for operand in operation.operands {
        useCount[operand.index] -= 1
        guard let source = maker[operand.index], slots[source] != nil else { continue }
        if useCount[operand.index] == 0 { pending.append(source) } else { touched.append(source) }
      }
    }
    return touched
  }

  /// The slots that read a value now.
  func liveReaders(of value: Value) -> [Int] { readers[value.index].filter { slots[$0]?.operands.contains(value) ?? false } }

  /// The function as it is now, its values numbered anew.
  func finished() -> Function {
    var function = function
    var operations: [Operation] = []
    var slot = first
    while slot != Self.none {
      if let operation = slots[slot] { operations.append(operation) }
      slot = next[slot]
    }
    function.operations = operations
    function.compact()
    return function
  }
}
