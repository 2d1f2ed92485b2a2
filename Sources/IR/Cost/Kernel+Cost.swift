extension Kernel {
  /// What one launch takes. Locals are not memory; conditions count as true.
  public var cost: Cost {
    let traffic = KernelTraffic(self)
    let memory = buffers.indices.filter { buffers[$0].role != .local }
    return Cost(
      bytesRead: saturated(memory.reduce(0) { $0 + traffic.bytesRead($1) }),
      bytesWritten: saturated(memory.reduce(0) { $0 + traffic.bytesWritten($1) }),
      flops: saturated(traffic.flops), launches: 1)
  }
}

/// Counts what a kernel touches of each buffer, from the extents of the loops each access depends on.
struct KernelTraffic {
  private let kernel: Kernel
  private var loaded: [Double]
  private var stored: [Double]
  private(set) var flops = 0.0

  private var trips = 1.0
  /// How often each open loop runs, on average.
  private var open: [LoopVariable: Double] = [:]
  /// The loops a variable's value depends on.
  private var dependencies: [Variable: Set<LoopVariable>] = [:]
  /// Buffers written by the current stage: what it reads of them again is still in the cache.
  private var written: Set<Int> = []

  init(_ kernel: Kernel) {
    self.kernel = kernel
    loaded = kernel.buffers.map { _ in 0 }
    stored = loaded
    for stage in kernel.body {
      written = Self.stores(of: [stage])
      visit([stage])
    }
  }

  func bytesRead(_ buffer: Int) -> Double { bytes(loaded[buffer], of: buffer) }
  func bytesWritten(_ buffer: Int) -> Double { bytes(stored[buffer], of: buffer) }

  private func bytes(_ elements: Double, of buffer: Int) -> Double {
    min(elements, Double(kernel.buffers[buffer].count)) * Double(kernel.buffers[buffer].dtype.size)
  }

  private static func stores(of body: [Statement]) -> Set<Int> {
    body.reduce(into: []) { stores, statement in
      switch statement {
      case .store(let buffer, _, _): stores.insert(buffer.index)
      case .loop(let loop): stores.formUnion(self.stores(of: loop.body))
      case .conditional(_, let body): stores.formUnion(self.stores(of: body))
      case .product(let product): stores.insert(product.c.buffer.index)
      case .define, .accumulator, .accumulate: break
      }
    }
  }

  // MARK: Statements

  private mutating func visit(_ body: [Statement]) {
    for statement in body { visit(statement) }
  }

  private mutating func visit(_ statement: Statement) {
    switch statement {
    case .define(let variable, let value):
      compute(value)
      dependencies[variable] = loops(of: value)
    case .accumulator(let variable, _): dependencies[variable] = Set(open.keys)
    case .accumulate(let variable, _, let value):
      compute(value)
      if variable.type == .f32 { flops += trips }
    case .store(let buffer, let position, let value):
      compute(value)
      if stored.indices.contains(buffer.index) { stored[buffer.index] += distinct(position) }
    case .loop(let loop):
      let outer = (trips, open)
      let count = count(loop)
      trips *= count
      open[loop.variable] = count
      visit(loop.body)
      (trips, open) = outer
    case .conditional(let condition, let body):
      compute(condition)
      visit(body)
    case .product(let product): visit(product)
    }
  }

  private mutating func visit(_ product: Product) {
    let (m, n, k) = (Double(product.m), Double(product.n), Double(product.k))
    var terms = trips * m * k
    let limits = [product.rowLimit, product.depthLimit].compactMap { $0 }
    let a = product.a.buffer.index
    if limits.contains(where: { !$0.variables.isEmpty }), kernel.buffers.indices.contains(a), kernel.buffers[a].role != .local {
      // Where a limit is read from memory, it says how a matrix is cut up: no element is used by two products.
      terms = min(terms, Double(kernel.buffers[a].count))
    }
    flops += 2 * terms * n
    load(product.a.buffer, distinct(product.a.offset) * m * k)
    load(product.b.buffer, distinct(product.b.offset) * k * n)
    let c = product.c.buffer.index
    if stored.indices.contains(c) { stored[c] += distinct(product.c.offset) * m * n }
  }

  /// How often a loop runs; where its limit depends on one other loop, the average over that.
  private func count(_ loop: Loop) -> Double {
    let extent = loop.variable.extent
    guard let limit = loop.limit else { return Double(extent) }
    func runs(_ limit: Int) -> Double { Double(min(max(limit, 0), extent)) }
    if let constant = limit.asConstant { return runs(constant) }
    guard limit.variables.isEmpty, let outer = limit.loops({ _ in [] }).first, limit.loops({ _ in [] }).count == 1,
      outer.extent <= 1 << 16
    else { return Double(extent) }
    let sum = (0..<outer.extent).reduce(0.0) { sum, at in
      sum + runs(limit.replacing(loop: { _ in Position(at) }).asConstant ?? extent)
    }
    return sum / Double(max(outer.extent, 1))
  }

  // MARK: Expressions

  private mutating func compute(_ value: Scalar) {
    flops += trips * value.flops
    visitLoads(of: value)
  }

  private mutating func visitLoads(of value: Scalar) {
    if case .load(let buffer, _, let position, _) = value { load(buffer, distinct(position)) }
    value.forEachPart { visitLoads(of: $0) }
  }

  private mutating func load(_ buffer: BufferID, _ elements: Double) {
    guard loaded.indices.contains(buffer.index), !written.contains(buffer.index) else { return }
    loaded[buffer.index] += elements
  }

  /// How many values a position takes, should it never take one twice.
  private func distinct(_ position: Position) -> Double {
    let (dependencies, open) = (dependencies, open)
    return position.loops { dependencies[$0] ?? [] }.reduce(1) { $0 * (open[$1] ?? Double($1.extent)) }
  }

  private func loops(of value: Scalar) -> Set<LoopVariable> {
    let dependencies = dependencies
    return value.loops { dependencies[$0] ?? [] }
  }
}
