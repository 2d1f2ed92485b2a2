/// A change of names in the statements of a kernel: of loops, variables and the places of elements.
public struct Substitution {
  /// The counter that a loop has afterwards.
  public var counter: (LoopVariable) -> LoopVariable
  /// What stands for a counter in positions.
  public var loop: (LoopVariable) -> Position
  public var variable: (Variable) -> Variable
  /// Where an element is read afterwards; the position has its new names already.
  public var source: (BufferID, Position) -> (BufferID, Position)
  /// Where an element is written afterwards, to one place or several.
  public var targets: (BufferID, Position) -> [(BufferID, Position)]

  public init(
    counter: @escaping (LoopVariable) -> LoopVariable, loop: @escaping (LoopVariable) -> Position,
    variable: @escaping (Variable) -> Variable, source: @escaping (BufferID, Position) -> (BufferID, Position),
    targets: @escaping (BufferID, Position) -> [(BufferID, Position)]
  ) {
    (self.counter, self.loop, self.variable, self.source, self.targets) = (counter, loop, variable, source, targets)
  }

  public func position(_ position: Position) -> Position {
    position.replacing(loop: loop, variable: { Position(variable($0)) })
  }

  public func scalar(_ scalar: Scalar) -> Scalar {
    switch scalar {
    case .position(let position): return .position(self.position(position))
    case .variable(let variable): return .variable(self.variable(variable))
    case .load(let buffer, let type, let position, let condition):
      let (buffer, position) = source(buffer, self.position(position))
      return .load(buffer, type, position, guard: condition.map { self.scalar($0) })
    default: return scalar.mapParts { self.scalar($0) }
    }
  }

  /// The statements with other names. Products are places of matrices, not of elements: there must be none.
  public func body(_ statements: [Statement]) -> [Statement] { statements.flatMap(statement) }

  private func statement(_ statement: Statement) -> [Statement] {
    switch statement {
    case .define(let name, let value): return [.define(variable(name), scalar(value))]
    case .accumulator(let name, let how): return [.accumulator(variable(name), how)]
    case .accumulate(let name, let how, let value): return [.accumulate(variable(name), how, scalar(value))]
    case .store(let buffer, let position, let value):
      let value = scalar(value)
      let targets = targets(buffer, self.position(position))
      guard let first = targets.first else { return [] }
      // The others get what the first one holds: the value may have been made of what stood there.
      let held = Scalar.load(first.0, value.type, first.1, guard: nil)
      return [.store(first.0, first.1, value)] + targets.dropFirst().map { .store($0, $1, held) }
    case .loop(let loop):
      return [.loop(Loop(counter(loop.variable), loop.kind, limit: loop.limit.map(position), body(loop.body)))]
    case .conditional(let condition, let inner): return [.conditional(scalar(condition), body(inner))]
    case .product: preconditionFailure("a product has no elements to give other places")
    }
  }
}
