import IR

/// The named expressions of a region's kernel.
extension RegionLowering {
  /// Names an expression, so that it is computed once; constants and names stay what they are.
  func name(_ expression: Scalar, always: Bool = false) -> Scalar {
    let expression = folded(expression)
    switch expression {
    case .variable: return expression
    case .float, .integer, .boolean, .position: if !always { return expression }
    default: break
    }
    nodes.append(
      Node(
        expression: expression, type: expression.type, isLane: isLane(expression), phase: phase(of: expression),
        cost: cost(of: expression), short: shortLoop(of: expression)))
    return .variable(Variable(nodes.count - 1, expression.type))
  }

  /// Names a local buffer's elements, which are scalars. The node stands for their stores.
  func addNode(gathering elements: [Scalar]) -> Int {
    let phase = elements.map { self.phase(of: $0) }.max() ?? 0
    nodes.append(Node(expression: .float(0), type: .f32, isLane: false, phase: phase, cost: 0, gathered: elements))
    return nodes.count - 1
  }

  func load(_ buffer: BufferID, _ dtype: DType, _ position: Position, _ condition: Scalar?) -> Scalar {
    let key = Load(buffer: buffer, position: position, condition: condition)
    if let known = loads[key] { return known }
    let type = ScalarType(dtype)
    let named = name(.load(buffer, type, position, guard: condition))
    if case .variable(let variable) = named, condition == nil { nodes[variable.id].isLoad = true }
    loads[key] = named
    return named
  }

  func zero(_ dtype: DType) -> Scalar {
    switch ScalarType(dtype) {
    case .f32: .float(0)
    case .bool: .boolean(false)
    case .i32: .integer(0, .i32)
    case .i64: .integer(0, .i64)
    }
  }

  func isLane(_ expression: Scalar) -> Bool {
    var found = false
    visit(expression, position: { found = found || $0.depends(on: self.layout.lane) }) {
      found = found || self.nodes[$0.id].isLane
    }
    return found
  }

  func phase(of expression: Scalar) -> Int {
    var phase = 0
    forEachOperand(of: expression) { phase = max(phase, self.nodes[$0].phase) }
    return phase
  }

  /// The nodes that an expression reads, and those that fill the short vectors it reads.
  func forEachOperand(of expression: Scalar, _ body: (Int) -> Void) {
    expression.forEachVariable { body($0.id) }
    forEachProducer(of: expression, body)
  }

  /// The nodes that fill the short vectors that an expression reads.
  func forEachProducer(of expression: Scalar, _ body: (Int) -> Void) {
    if case .load(let buffer, _, _, _) = expression, let producer = short.producer(of: buffer) { body(producer) }
    expression.forEachPart { forEachProducer(of: $0, body) }
  }

  /// Those that a node reads.
  func forEachOperand(of node: Node, _ body: (Int) -> Void) {
    forEachOperand(of: node.expression, body)
    for element in node.gathered { forEachOperand(of: element, body) }
  }

  func cost(of expression: Scalar) -> Int {
    switch expression {
    case .float, .integer, .boolean, .position, .variable: return 0
    case .load: return 1
    case .unary(let function, let a):
      let own =
        switch function {
        case .negate, .absolute, .floor, .not: 1
        case .squareRoot, .reciprocalSquareRoot: 6
        case .exponential, .logarithm, .sine, .cosine, .tanh, .sigmoid, .erf: 20
        }
      return own + cost(of: a)
    case .binary(.divide, let a, let b), .binary(.remainder, let a, let b): return 6 + cost(of: a) + cost(of: b)
    default:
      var sum = 1
      expression.forEachPart { sum += cost(of: $0) }
      return sum
    }
  }

  /// Every position and variable an expression reads.
  func visit(_ expression: Scalar, position: (Position) -> Void, variable: (Variable) -> Void) {
    switch expression {
    case .variable(let named): variable(named)
    case .position(let at):
      position(at)
      at.variables.forEach(variable)
    case .load(_, _, let at, _):
      position(at)
      at.variables.forEach(variable)
    default: break
    }
    expression.forEachPart { visit($0, position: position, variable: variable) }
  }
}
