import IR

/// The vector loops of a stage and what they touch: looked at once, however many ways to spread the stage are tried.
struct StageLanes {
  private(set) var loops: [VectorLoop] = []
  /// What is touched outside vector loops, or by products.
  private var irregular: Set<BufferID> = []

  struct VectorLoop {
    let path: ThreadMapping.Path
    let variable: LoopVariable
    let isLimited: Bool
    let regular: LaneAccesses
    /// Where each buffer is touched.
    let positions: [BufferID: Set<Position>]

    init(_ loop: Loop, at path: ThreadMapping.Path) {
      (self.path, variable, isLimited) = (path, loop.variable, loop.limit != nil)
      regular = LaneAccesses(loop)
      var positions: [BufferID: Set<Position>] = [:]
      forEachAccess(in: loop.body) { positions[$0, default: []].insert($1) }
      self.positions = positions
    }
  }

  init(_ stage: Loop) { visit(stage.body, at: []) }

  private mutating func visit(_ body: [Statement], at path: ThreadMapping.Path) {
    for (number, statement) in body.enumerated() {
      switch statement {
      case .loop(let loop):
        if case .vector = loop.kind {
          loops.append(VectorLoop(loop, at: path + [number]))
        } else {
          visit(loop.body, at: path + [number])
        }
      case .conditional(let condition, let body):
        forEachAccess(in: condition) { buffer, _ in irregular.insert(buffer) }
        visit(body, at: path + [number])
      case .product(let product): irregular.formUnion([product.a.buffer, product.b.buffer, product.c.buffer])
      case .define, .accumulator, .accumulate, .store:
        forEachAccess(in: [statement]) { buffer, _ in irregular.insert(buffer) }
      }
    }
  }

  /// A local that can be dealt out to the registers of a team: each lane of vector loops of one extent touches elements of
  /// its own, at places that are known.
  ///
  ///     vector j < 512 { t[j] = … }   vector j < 512 { … = t[j] … }
  ///
  /// - Returns: the extent of the loops, and where in the local the elements of lane 0 stand; `nil` for other locals.
  func planes(of local: BufferID) -> (extent: Int, planes: [Int])? {
    guard !irregular.contains(local) else { return nil }
    var planes: Set<Int> = []
    var extent: Int?
    for loop in loops {
      guard let touched = loop.positions[local] else { continue }
      guard extent == nil || extent == loop.variable.extent else { return nil }
      extent = loop.variable.extent
      for position in touched {
        guard position.step(along: loop.variable) == 1,
          let plane = (position + Position(loop.variable) * -1).asConstant
        else { return nil }
        planes.insert(plane)
      }
    }
    guard let extent else { return nil }
    let sorted = planes.sorted()
    for (first, second) in zip(sorted, sorted.dropFirst()) where second - first < extent { return nil }
    return (extent, sorted)
  }
}

/// Calls `body` for each load and store of statements, products aside.
/// Calls `body` for every element that statements read or write, those of products aside.
func forEachAccess(in statements: [Statement], _ body: (BufferID, Position) -> Void) {
  for statement in statements {
    switch statement {
    case .define(_, let scalar), .accumulate(_, _, let scalar): forEachAccess(in: scalar, body)
    case .accumulator, .product: break
    case .store(let buffer, let position, let scalar):
      body(buffer, position)
      forEachAccess(in: scalar, body)
    case .loop(let loop): forEachAccess(in: loop.body, body)
    case .conditional(let condition, let inner):
      forEachAccess(in: condition, body)
      forEachAccess(in: inner, body)
    }
  }
}

private func forEachAccess(in scalar: Scalar, _ body: (BufferID, Position) -> Void) {
  if case .load(let buffer, _, let position, _) = scalar { body(buffer, position) }
  scalar.forEachPart { forEachAccess(in: $0, body) }
}
