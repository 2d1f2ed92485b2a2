import IR

/// What `map-to-threads` asks about the body of a stage.
struct StageShape {
  private(set) var vectorExtents: Set<Int> = []
  private(set) var products: [(path: ThreadMapping.Path, product: Product)] = []
  private(set) var used: Set<BufferID> = []
  private(set) var stored: Set<BufferID> = []
  /// Buffers that lanes of vector loops, or products, store to.
  private(set) var storedByLanes: Set<BufferID> = []

  init(_ body: [Statement]) { visit(body, at: [], inVector: false) }

  /// The locals it uses, in the order of the kernel.
  func locals(of kernel: Kernel) -> [(id: BufferID, bytes: Int, hasLaneStores: Bool)] {
    kernel.buffers.indices.map { BufferID($0) }
      .filter { kernel.buffers[$0.index].role == .local && used.contains($0) }
      .map { ($0, kernel.buffers[$0.index].bytes, storedByLanes.contains($0)) }
  }

  private mutating func visit(_ body: [Statement], at path: ThreadMapping.Path, inVector: Bool) {
    for (number, statement) in body.enumerated() {
      let here = path + [number]
      switch statement {
      case .define(_, let scalar), .accumulate(_, _, let scalar): visit(scalar)
      case .accumulator: break
      case .store(let buffer, _, let scalar):
        used.insert(buffer)
        stored.insert(buffer)
        if inVector { storedByLanes.insert(buffer) }
        visit(scalar)
      case .loop(let loop):
        if case .vector = loop.kind {
          vectorExtents.insert(loop.variable.extent)
          visit(loop.body, at: here, inVector: true)
        } else {
          visit(loop.body, at: here, inVector: inVector)
        }
      case .conditional(let condition, let body):
        visit(condition)
        visit(body, at: here, inVector: inVector)
      case .product(let product):
        products.append((here, product))
        stored.insert(product.c.buffer)
        used.formUnion([product.a.buffer, product.b.buffer, product.c.buffer])
        // The threads of a block share the operands and the result of a product.
        storedByLanes.formUnion([product.a.buffer, product.b.buffer, product.c.buffer])
      }
    }
  }

  private mutating func visit(_ scalar: Scalar) {
    if case .load(let buffer, _, _, _) = scalar { used.insert(buffer) }
    scalar.forEachPart { visit($0) }
  }
}
