import IR
import Ops

/// Computes forward values again for the backward pass, so that they need not be kept until then.
///
/// Kept are checkpoints, small values and what is expensive: products, sums, look-ups. The rest follows from them
/// elementwise or by sums over a few streams, segment by segment: between two checkpoints, the last segment first.
struct Recomputation {
  private let function: Function
  private let definitions: [Int?]
  private let isKept: [Bool]
  /// Smaller values are kept anyway.
  private let least: Int
  /// Checkpoints made before each operation.
  private let segments: [Int]
  private var segment = -1
  /// What the backward pass had come to when it reached the segment.
  private var start: Value?
  /// The values of the segment that are there again.
  private var again: [Value: Value] = [:]

  /// - Parameter checkpoints: values that are kept; others are kept if they are an eighth of the largest of these.
  init(_ function: Function, checkpoints: [Value]) {
    self.function = function
    definitions = function.definitions()
    let kept = Set(checkpoints)
    let least = (checkpoints.map { function.type(of: $0).bytes }.max() ?? 0) / 8
    self.least = least
    let definitions = self.definitions
    isKept = (0..<function.valueCount).map { index in
      let value = Value(index)
      guard let producer = definitions[index], !kept.contains(value) else { return true }
      let operation = function.operations[producer]
      return function.type(of: value).bytes <= least || !Self.isCheap(operation, function)
    }
    var segments: [Int] = []
    var count = 0
    for operation in function.operations {
      segments.append(count)
      if operation.results.contains(where: kept.contains) { count += 1 }
    }
    self.segments = segments
  }

  /// The operands and results of an operation as its gradient is to read them, which begins with `upstream`.
  mutating func values(
    of number: Int, from upstream: Value, _ builder: inout FunctionBuilder
  ) throws(Diagnostic) -> (operands: [Value], results: [Value]) {
    if segments[number] != segment {
      (segment, start, again) = (segments[number], upstream, [:])
    }
    let operation = function.operations[number]
    var operands: [Value] = []
    for operand in operation.operands { operands.append(try value(operand, &builder)) }
    var results: [Value] = []
    for result in operation.results { results.append(try value(result, &builder)) }
    return (operands, results)
  }

  private mutating func value(_ value: Value, _ builder: inout FunctionBuilder) throws(Diagnostic) -> Value {
    guard !isKept[value.index], let number = definitions[value.index] else { return value }
    if let known = again[value] { return known }
    let operation = function.operations[number]
    var operands: [Value] = []
    for operand in operation.operands { operands.append(try source(operand, &builder)) }
    let location = builder.location
    builder.location = operation.location
    let results = try builder.emit(operation.op, operands)
    builder.location = location
    for (old, new) in zip(operation.results, results) { again[old] = new }
    return again[value] ?? value
  }

  /// What is computed again from: of large values that were kept, not before the backward pass has come here.
  private mutating func source(_ value: Value, _ builder: inout FunctionBuilder) throws(Diagnostic) -> Value {
    guard isKept[value.index] else { return try self.value(value, &builder) }
    guard let start, let producer = definitions[value.index], function.type(of: value).bytes > least,
      !(function.operations[producer].op is Constant), !(function.operations[producer].op is Iota)
    else { return value }
    if let known = again[value] { return known }
    let held = try builder.emit(After(), value, start)
    again[value] = held
    return held
  }

  private static func isCheap(_ operation: Operation, _ function: Function) -> Bool {
    switch operation.op {
    case is Unary, is Binary, is Compare, is Select, is Cast, is Broadcast, is Reshape, is Slice, is StopGradient: return true
    case let contract as Contract:
      let labels = contract.labels
      let extents = labels.extents(function.type(of: operation.operands[0]), function.type(of: operation.operands[1]))
      return labels.summed.reduce(1) { $0 * (extents[$1] ?? 1) } <= 8
    default: return false
    }
  }
}
