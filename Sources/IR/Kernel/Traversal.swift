// Ways through a kernel for those who look for something in it.

extension Kernel {
  /// Calls `body` for every statement, from the outside in.
  public func forEachStatement(_ body: (Statement) -> Void) {
    func visit(_ statements: [Statement]) {
      for statement in statements {
        body(statement)
        switch statement {
        case .loop(let loop): visit(loop.body)
        case .conditional(_, let inner): visit(inner)
        case .define, .accumulator, .accumulate, .store, .product: break
        }
      }
    }
    visit(self.body)
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
