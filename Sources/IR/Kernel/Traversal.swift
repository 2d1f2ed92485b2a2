// Ways through a kernel for those who look for something in it.

extension Kernel {
  /// Calls `body` for every statement, from the outside in.
  public func forEachStatement(_ body: (Statement) -> Void) {
    for stage in self.body { stage.forEachStatement(body) }
  }

  /// Whether some statement reads a buffer.
  public func reads(_ buffer: BufferID) -> Bool {
    var found = false
    forEachStatement { statement in
      if case .product(let product) = statement {
        found = found || [product.a.buffer, product.b.buffer].contains(buffer)
        found = found || product.accumulates && product.c.buffer == buffer
      }
      found = found || statement.reads { read, _ in read == buffer }
    }
    return found
  }
}

extension Statement {
  /// Calls `body` for the statement and all inside it, from the outside in.
  public func forEachStatement(_ body: (Statement) -> Void) {
    body(self)
    switch self {
    case .loop(let loop): for inner in loop.body { inner.forEachStatement(body) }
    case .conditional(_, let statements): for inner in statements { inner.forEachStatement(body) }
    case .define, .accumulator, .accumulate, .store, .product: break
    }
  }

  /// Calls `body` for every variable that the statement or one inside it reads, as often as it stands there; accumulators
  /// that are fed are read.
  public func forEachVariable(_ body: (Variable) -> Void) {
    forEachStatement { statement in
      switch statement {
      case .define(_, let value): value.forEachVariable(body)
      case .accumulator: break
      case .accumulate(let variable, _, let value):
        body(variable)
        value.forEachVariable(body)
      case .store(_, let position, let value):
        position.forEachVariable(body)
        value.forEachVariable(body)
      case .loop(let loop): loop.limit?.forEachVariable(body)
      case .conditional(let condition, _): condition.forEachVariable(body)
      case .product(let product):
        let limits = [product.rowLimit, product.depthLimit].compactMap { $0 }
        for position in [product.a.offset, product.b.offset, product.c.offset] + limits { position.forEachVariable(body) }
      }
    }
  }

  /// Whether an expression of the statement itself, not of those inside it, reads a place that is meant.
  public func reads(where isMeant: (BufferID, Position) -> Bool) -> Bool {
    switch self {
    case .define(_, let value), .accumulate(_, _, let value), .store(_, _, let value), .conditional(let value, _):
      value.reads(where: isMeant)
    case .accumulator, .loop, .product: false
    }
  }
}

extension Scalar {
  /// Whether the expression reads a place that is meant.
  public func reads(where isMeant: (BufferID, Position) -> Bool) -> Bool {
    if case .load(let buffer, _, let position, _) = self, isMeant(buffer, position) { return true }
    var found = false
    forEachPart { found = found || $0.reads(where: isMeant) }
    return found
  }
}
