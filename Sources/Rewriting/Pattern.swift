import IR

/// A rewrite rule: an operation of some kind in, the values that take the place of its results out.
///
///     static let doubleNegation = Pattern("double-negation", on: Unary.self) { outer, rewriter throws(NoMatch) in
///       …
///       return inner[0]
///     }
///
/// The right side must never be worse than the left: a driver applies rules until none matches, in no order one may rely on.
public struct Pattern: Sendable {
  public let name: String
  /// Whether a refused match is worth telling the user, who then learns why nothing was fused.
  public let isExplained: Bool
  /// The type of op it looks at.
  @usableFromInline let root: ObjectIdentifier
  @usableFromInline let rewrite: @Sendable (Operation, inout Rewriter) throws(NoMatch) -> [Value]

  // Rules are made where their op is known: looked up at run time, the type of a match costs more than most matches.

  /// A rule for ops with one result.
  @inlinable
  public init<Op: TensorOp>(
    _ name: String, on op: Op.Type, isExplained: Bool = false,
    _ rewrite: @escaping @Sendable (Match<Op>, inout Rewriter) throws(NoMatch) -> Value
  ) {
    self.init(name, onAllResultsOf: op, isExplained: isExplained) { match, rewriter throws(NoMatch) in
      [try rewrite(match, &rewriter)]
    }
  }

  /// A rule that gives a value for every result of the op.
  @inlinable
  public init<Op: TensorOp>(
    _ name: String, onAllResultsOf op: Op.Type, isExplained: Bool = false,
    _ rewrite: @escaping @Sendable (Match<Op>, inout Rewriter) throws(NoMatch) -> [Value]
  ) {
    self.name = name
    self.isExplained = isExplained
    root = ObjectIdentifier(op)
    self.rewrite = { operation, rewriter throws(NoMatch) in
      guard let op = operation.match(Op.self) else { throw NoMatch("another op") }
      return try rewrite(Match(op, operation), &rewriter)
    }
  }
}

/// An operation whose op is known: `match.op`, and its operands as `match[0]`, `match[1]`.
public struct Match<Op: TensorOp>: Sendable {
  public let op: Op
  public let operands: [Value]
  public let results: [Value]
  public let location: Location

  @inlinable
  init(_ op: Op, _ operation: Operation) {
    self.op = op
    operands = operation.operands
    results = operation.results
    location = operation.location
  }

  @inlinable
  public subscript(number: Int) -> Value { operands[number] }
}

/// A pattern says no, and why. Costs nothing: it is the usual case.
public struct NoMatch: Error, Sendable {
  private let text: StaticString
  private let detail: String?

  public init(_ reason: StaticString) {
    text = reason
    detail = nil
  }

  /// A reason that has to be put together, for cases that are rare.
  init(detail: String) {
    text = ""
    self.detail = detail
  }

  public var reason: String { detail ?? "\(text)" }
}
