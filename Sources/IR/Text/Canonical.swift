extension Kernel {
  /// The kernel with loops and variables numbered from 0 in the order in which they are declared.
  ///
  /// Kernels that differ in nothing but these numbers become equal, and compile once.
  public func canonicalized() -> Kernel {
    var renumbering = Renumbering()
    return Kernel(name: name, buffers: buffers, body: renumbering.block(body))
  }
}

private struct Renumbering {
  /// What is in scope; an inner block may use a number again.
  private var loops: [Int: Int] = [:]
  private var variables: [Int: Int] = [:]
  private var loopCount = 0
  private var variableCount = 0

  mutating func block(_ body: [Statement]) -> [Statement] {
    let outer = (loops, variables)
    defer { (loops, variables) = outer }
    return body.map { statement($0) }
  }

  private mutating func declare(_ variable: Variable) -> Variable {
    variables[variable.id] = variableCount
    variableCount += 1
    return use(variable)
  }

  private func use(_ variable: Variable) -> Variable {
    Variable(variables[variable.id] ?? -1 - variable.id, variable.type)
  }

  private func use(_ loop: LoopVariable) -> LoopVariable {
    LoopVariable(loops[loop.id] ?? -1 - loop.id, below: loop.extent)
  }

  private mutating func statement(_ statement: Statement) -> Statement {
    switch statement {
    case .define(let variable, let value):
      let value = scalar(value)
      return .define(declare(variable), value)
    case .accumulator(let variable, let reduction): return .accumulator(declare(variable), reduction)
    case .accumulate(let variable, let reduction, let value):
      return .accumulate(use(variable), reduction, scalar(value))
    case .store(let buffer, let at, let value): return .store(buffer, position(at), scalar(value))
    case .conditional(let condition, let body): return .conditional(scalar(condition), block(body))
    case .loop(let loop):
      let limit = loop.limit.map(position)
      let outer = loops
      defer { loops = outer }
      loops[loop.variable.id] = loopCount
      loopCount += 1
      return .loop(Loop(use(loop.variable), loop.kind, limit: limit, block(loop.body)))
    case .product(var product):
      product.rowLimit = product.rowLimit.map(position)
      product.depthLimit = product.depthLimit.map(position)
      product.a.offset = position(product.a.offset)
      product.b.offset = position(product.b.offset)
      product.c.offset = position(product.c.offset)
      return .product(product)
    }
  }

  private func scalar(_ value: Scalar) -> Scalar {
    switch value {
    case .position(let at): .position(position(at))
    case .variable(let variable): .variable(use(variable))
    case .load(let buffer, let type, let at, let condition):
      .load(buffer, type, position(at), guard: condition.map(scalar))
    case .float, .integer, .boolean, .unary, .binary, .compare, .select, .fusedMultiplyAdd, .convert, .bitcast, .round:
      value.mapParts(scalar)
    }
  }

  private func position(_ position: Position) -> Position {
    position.replacing(loop: { Position(use($0)) }, variable: { Position(use($0)) })
  }
}
