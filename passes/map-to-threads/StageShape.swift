import IR

/// What `map-to-threads` asks about the body of a stage.
struct StageShape {
  private(set) var vectorExtents: Set<Int> = []
  private(set) var products: [(path: ThreadMapping.Path, product: Product)] = []
  private(set) var used: Set<BufferID> = []
  private(set) var stored: Set<BufferID> = []
  /// Buffers that lanes of vector loops, or products, store to.
  private(set) var storedByLanes: Set<BufferID> = []
  /// Those that lanes read each at a place of its own, and those that scalar code reads.
  private var readByLanes: Set<BufferID> = [], readByScalars: Set<BufferID> = []

  init(_ body: [Statement]) { visit(body, at: [], along: nil) }

  /// The locals it uses, in the order of the kernel.
  func locals(of kernel: Kernel) -> [(id: BufferID, bytes: Int, isOfLanes: Bool)] {
    kernel.buffers.indices.map { BufferID($0) }
      .filter { kernel.buffers[$0.index].role == .local && used.contains($0) }
      .map { id in
        // What scalar code puts down for the lanes to read stands once for all of them.
        let isPutDown = readByLanes.contains(id) && !readByScalars.contains(id)
        return (id, kernel.buffers[id.index].bytes, storedByLanes.contains(id) || isPutDown)
      }
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
        if lane != nil { storedByLanes.insert(buffer) }
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
        storedByLanes.formUnion([product.a.buffer, product.b.buffer, product.c.buffer])
      }
    }
  }

  private mutating func visit(_ scalar: Scalar, along lane: LoopVariable?) {
    if case .load(let buffer, _, let position, _) = scalar {
      used.insert(buffer)
      if lane == nil { readByScalars.insert(buffer) }
      if let lane, position.depends(on: lane) { readByLanes.insert(buffer) }
    }
    scalar.forEachPart { visit($0, along: lane) }
  }
}
