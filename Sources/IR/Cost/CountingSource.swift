/// Follows an op's formula for all elements of its result at once, and counts what it touches and computes.
final class CountingSource: ElementSource {
  private let operands: [TensorType]
  /// Elements of each operand that are touched, should none be touched twice by different loads.
  private(set) var touched: [Double]
  private(set) var flops = 0.0
  /// The result is the operand's memory, seen in another shape.
  private(set) var isView = false

  /// How often the expression at hand is computed.
  private var trips: Double
  private var names = 0
  /// The loops a variable's value depends on.
  private var dependencies: [Int: Set<LoopVariable>] = [:]

  init(_ formula: (any ElementSource, [Position]) -> Scalar, _ operands: [TensorType], _ result: TensorType) {
    self.operands = operands
    touched = operands.map { _ in 0 }
    trips = result.shape.reduce(1) { $0 * Double($1) }
    let at = result.shape.map { Position(loop(below: $0)) }
    let value = formula(self, at)
    flops += trips * value.flops
    if operands.count == 1, operands[0].count == result.count, operands[0].dtype == result.dtype,
      case .load(_, _, let offset, nil) = value
    {
      isView = offset == Position.offset(of: at, in: result.shape)
    }
  }

  private func loop(below extent: Int) -> LoopVariable {
    names += 1
    return LoopVariable(names, below: extent)
  }

  private func variable(_ type: ScalarType, _ loops: Set<LoopVariable>) -> Scalar {
    names += 1
    dependencies[names] = loops
    return .variable(Variable(names, type))
  }

  private func loops(of scalar: Scalar) -> Set<LoopVariable> { scalar.loops { self.dependencies[$0.id] ?? [] } }

  func operand(_ number: Int, at position: [Position], where condition: Scalar?) -> Scalar {
    let type = operands[number]
    let loops = position.reduce(into: Set<LoopVariable>()) { $0.formUnion($1.loops { self.dependencies[$0.id] ?? [] }) }
    touched[number] += loops.reduce(1) { $0 * Double($1.extent) }
    let offset = Position.offset(of: position, in: type.shape)
    return .load(BufferID(number), ScalarType(type.dtype), offset, guard: condition)
  }

  func reduce(_ reduction: Reduction, over extents: [Int], _ body: ([Position]) -> Scalar) -> Scalar {
    let outer = trips
    let inner = extents.map { loop(below: $0) }
    for extent in extents { trips *= Double(extent) }
    let value = body(inner.map { Position($0) })
    flops += trips * (value.flops + (value.type == .f32 ? 1 : 0))
    trips = outer
    return variable(value.type, loops(of: value).subtracting(inner))
  }

  func position(_ value: Scalar) -> Position {
    if case .position(let position) = value { return position }
    flops += trips * value.flops
    guard case .variable(let named) = variable(.i64, loops(of: value)) else { return Position(0) }
    return Position(named)
  }
}

extension Position {
  /// The loops it depends on, through variables as well.
  func loops(_ dependencies: (Variable) -> Set<LoopVariable>) -> Set<LoopVariable> {
    terms.reduce(into: []) { loops, term in
      switch term.atom {
      case .loop(let loop): loops.insert(loop)
      case .variable(let variable): loops.formUnion(dependencies(variable))
      case .quotient(let inner, _), .remainder(let inner, _): loops.formUnion(inner.loops(dependencies))
      }
    }
  }
}

extension Scalar {
  /// The loops its value depends on.
  func loops(_ dependencies: (Variable) -> Set<LoopVariable>) -> Set<LoopVariable> {
    var loops: Set<LoopVariable> = []
    switch self {
    case .variable(let variable): loops = dependencies(variable)
    case .position(let position), .load(_, _, let position, _): loops = position.loops(dependencies)
    case .float, .integer, .boolean, .unary, .binary, .compare, .select, .fusedMultiplyAdd, .convert, .bitcast, .round:
      break
    }
    forEachPart { loops.formUnion($0.loops(dependencies)) }
    return loops
  }

  /// Floating-point operations of computing the expression once.
  var flops: Double {
    var flops = ownFlops
    forEachPart { flops += $0.flops }
    return flops
  }

  private var ownFlops: Double {
    switch self {
    case .unary(let function, let a): function != .not && a.type == .f32 ? 1 : 0
    case .binary(_, let a, _): a.type == .f32 ? 1 : 0
    case .fusedMultiplyAdd: 2
    case .float, .integer, .boolean, .position, .variable, .load, .compare, .select, .convert, .bitcast, .round: 0
    }
  }
}
