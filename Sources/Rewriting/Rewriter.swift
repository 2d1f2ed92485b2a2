import IR

/// A function while patterns change it: what a pattern may ask, and how it builds its right side.
///
/// New operations stand right before the one they replace and take over its place in the model. They become part of the
/// function only when the whole pattern has matched.
public struct Rewriter {
  var graph: RewriteGraph
  /// The operations the pattern in progress has built.
  var built: [Operation] = []
  /// Where the operation in progress comes from.
  var location: Location = .unknown

  init(_ function: Function) { graph = RewriteGraph(function) }

  public func type(of value: Value) -> TensorType { graph.function.type(of: value) }

  /// Ends the match unless `condition` holds.
  public func require(_ condition: Bool, _ reason: StaticString) throws(NoMatch) {
    guard condition else { throw NoMatch(reason) }
  }

  /// Whether one operation reads the value, once, and the function does not return it.
  public func hasOneUse(_ value: Value) -> Bool { graph.useCount[value.index] == 1 && !graph.isReturned[value.index] }

  /// The operation that makes a value; the match ends if that is not an `Op`.
  @inlinable
  public func definition<Op: TensorOp>(of value: Value, as op: Op.Type) throws(NoMatch) -> Match<Op> {
    guard let match = find(value, as: op) else { throw NoMatch("an operand is made by another op") }
    return match
  }

  /// The operation that makes a value, if that is an `Op`.
  @inlinable
  public func find<Op: TensorOp>(_ value: Value, as op: Op.Type) -> Match<Op>? {
    guard let operation = operation(making: value), let op = operation.match(Op.self) else { return nil }
    return Match(op, operation)
  }

  @usableFromInline
  func operation(making value: Value) -> Operation? { graph.definition(of: value) }

  /// Builds an operation with one result.
  public mutating func emit(_ op: any TensorOp, _ operands: Value...) throws(NoMatch) -> Value {
    try emit(op, operands)[0]
  }

  /// Builds an operation. The match ends if the op does not take these operands.
  public mutating func emit(_ op: any TensorOp, _ operands: [Value]) throws(NoMatch) -> [Value] {
    let types: [TensorType]
    do {
      types = try op.infer(operands.map { type(of: $0) })
    } catch {
      throw NoMatch(detail: "'\(op.name)' \(error.message)")
    }
    let results = types.map { graph.addValue($0) }
    built.append(Operation(op, operands, results, at: location))
    return results
  }
}
