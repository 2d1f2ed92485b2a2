import IR

/// What `map-to-threads` asks about the body of a stage.
struct StageShape {
  private(set) var vectorExtents: Set<Int> = []
  private(set) var products: [(path: ThreadMapping.Path, product: Product)] = []
  private(set) var used: Set<BufferID> = []
  private(set) var stored: Set<BufferID> = []
  /// Buffers that lanes of vector loops, or products, store to, or read each at a place of its own.
  private(set) var dealtToLanes: Set<BufferID> = []

  init(_ body: [Statement]) { visit(body, at: [], along: nil) }

  /// The locals it uses, in the order of the kernel.
  func locals(of kernel: Kernel) -> [(id: BufferID, bytes: Int, isOfLanes: Bool)] {
    kernel.buffers.indices.map { BufferID($0) }
      .filter { kernel.buffers[$0.index].role == .local && used.contains($0) }
      .map { ($0, kernel.buffers[$0.index].bytes, dealtToLanes.contains($0)) }
  }

  private mutating func visit(_ body: [Statement], at path: ThreadMapping.Path, along lane: LoopVariable?) {
    for (number, statement) in body.enumerated() {
      let here = path + [number]
      switch statement {
      case .define(_, let scalar), .accumulate(_, _, let scalar): visit(scalar, along: lane)
      case .accumulator: break
      case .store(let buffer, _, let scalar):
        used.insert(buffer)
        stored.insert(buffer)
        if lane != nil { dealtToLanes.insert(buffer) }
        visit(scalar, along: lane)
      case .loop(let loop):
        if case .vector = loop.kind {
          vectorExtents.insert(loop.variable.extent)
          visit(loop.body, at: here, along: loop.variable)
        } else {
          visit(loop.body, at: here, along: lane)
        }
      case .conditional(let condition, let body):
        visit(condition, along: lane)
        visit(body, at: here, along: lane)
      case .product(let product):
        products.append((here, product))
        stored.insert(product.c.buffer)
        used.formUnion([product.a.buffer, product.b.buffer, product.c.buffer])
        // The threads of a block share the operands and the result of a product.
        dealtToLanes.formUnion([product.a.buffer, product.b.buffer, product.c.buffer])
      }
    }
  }

  private mutating func visit(_ scalar: Scalar, along lane: LoopVariable?) {
    if case .load(let buffer, _, let position, _) = scalar {
      used.insert(buffer)
      if let lane, position.depends(on: lane) { dealtToLanes.insert(buffer) }
    }
    scalar.forEachPart { visit($0, along: lane) }
  }
}
