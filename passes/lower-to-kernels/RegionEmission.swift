import IR

extension RegionLowering {
  /// One element or plane of a result, and where it goes.
  private struct Store {
    let buffer: BufferID
    let position: Position
    let value: Scalar
    let isLane: Bool
    let phase: Int
  }

  /// The kernel of the region.
  func kernel() throws(Violation) -> Kernel {
    var stores: [Store] = []
    var reduced: [Value: BufferID] = [:]
    for (number, result) in function.results.enumerated() {
      let buffer = BufferID(function.parameters.count + number)
      if layout.isRowReduced(result) {
        guard reduced[result] == nil else { throw "returns the sum \(number) twice" }
        reduced[result] = buffer
        for element in 0..<layout.reducedElements(of: result) { rowReduction(result, element) }
        continue
      }
      guard layout.buffer(of: result) == nil else { throw "returns its own parameter" }
      let isLaned = layout.isLaned(result) || layout.rowsAreLanes
      for element in 0..<layout.elements(of: result) {
        let value = self.element(result, element)
        stores.append(
          Store(
            buffer: buffer, position: layout.offset(of: element, of: result), value: value, isLane: isLaned,
            phase: phase(of: value)))
      }
    }
    if let refusal { throw refusal }
    guard nodes.count <= 30_000 else { throw "one row takes \(nodes.count) steps" }
    return build(stores, reduced)
  }

  private func build(_ stores: [Store], _ reduced: [Value: BufferID]) -> Kernel {
    var buffers = function.parameters.enumerated().map { number, value in
      Kernel.Buffer("i\(number)", function.type(of: value).dtype, function.type(of: value).count, .input)
    }
    buffers += function.results.enumerated().map { number, value in
      Kernel.Buffer("o\(number)", function.type(of: value).dtype, function.type(of: value).count, .output)
    }
    // Sums over rows are first made piece by piece.
    var partial: [Value: BufferID] = [:]
    for value in reduced.keys.sorted() {
      partial[value] = BufferID(buffers.count)
      let type = function.type(of: value)
      // Pieces of bf16 and f16 sums are not rounded: only the sum is.
      let dtype = type.dtype.isFloat ? DType.f32 : type.dtype
      buffers.append(Kernel.Buffer("w\(partial.count - 1)", dtype, layout.pieces * type.count, .workspace))
    }

    var plan = PhasePlan(self, stores: stores.map { ($0.value, $0.isLane, $0.phase, $0.buffer, $0.position) })
    for reduction in rowReductions {
      for contribution in reduction.contributions { plan.root(contribution.value, in: contribution.phase) }
    }
    plan.close(firstLocal: buffers.count)
    for (number, _) in plan.savedNodes.enumerated() {
      buffers.append(Kernel.Buffer("l\(number)", .f32, layout.lanes, .local))
    }

    // The body of one row.
    var row: [Statement] = []
    for (id, node) in nodes.enumerated() where node.reduction != nil && plan.isReached(id) {
      row.append(.accumulator(Variable(id, node.type), node.reduction!))
    }
    var rowAccumulators: [(Variable, RowReduction)] = []
    var nextVariable = nodes.count
    for phase in 0...plan.lastPhase {
      for (id, node) in nodes.enumerated()
      where !node.isLane && node.reduction == nil && node.phase == phase && plan.isReached(id) {
        row.append(.define(Variable(id, node.type), node.expression))
      }
      var loop = plan.laneStatements(in: phase)
      for (id, node) in nodes.enumerated() where plan.isReached(id) {
        guard let reduction = node.reduction else { continue }
        for contribution in node.contributions where contribution.phase == phase {
          loop.append(.accumulate(Variable(id, node.type), reduction, contribution.value))
        }
      }
      for store in stores where store.phase == phase {
        let statement = Statement.store(store.buffer, store.position, store.value)
        if store.isLane { loop.append(statement) } else { row.append(statement) }
      }
      for reduction in rowReductions {
        for contribution in reduction.contributions where contribution.phase == phase {
          if reduction.isPlane {
            let at = partialPosition(reduction)
            let buffer = partial[reduction.value]!
            let old = Scalar.load(buffer, contribution.value.type, at, guard: nil)
            loop.append(.store(buffer, at, reduction.reduction.combine(old, contribution.value)))
          } else {
            let variable: Variable
            if let known = rowAccumulators.first(where: {
              $0.1.value == reduction.value && $0.1.element == reduction.element
            }) {
              variable = known.0
            } else {
              variable = Variable(nextVariable, contribution.value.type)
              nextVariable += 1
              rowAccumulators.append((variable, reduction))
            }
            let statement = Statement.accumulate(variable, reduction.reduction, contribution.value)
            // Where rows are lanes, what is the same in all of them counts once for each.
            let isInLoop = layout.rowsAreLanes || isLane(contribution.value)
            if isInLoop { loop.append(statement) } else { row.append(statement) }
          }
        }
      }
      if !loop.isEmpty { row.append(vectorLoop(loop)) }
    }

    var body: [Statement] = []
    if layout.sumsRows {
      var piece: [Statement] = []
      for reduction in rowReductions where reduction.isPlane {
        let identity = reduction.reduction.identity(ScalarType(function.type(of: reduction.value).dtype))
        piece.append(
          vectorLoop([.store(partial[reduction.value]!, partialPosition(reduction), identity)], isRow: false))
      }
      piece += rowAccumulators.map { .accumulator($0.0, $0.1.reduction) }
      let left = Position(layout.rows) - Position(layout.parallel) * layout.pieceRows
      let limit = layout.rowsAreLanes ? (left + (layout.lanes - 1)) / layout.lanes : left
      let isEven = layout.pieceRows * layout.pieces == layout.rows
      piece.append(.loop(Loop(layout.serial, .serial, limit: isEven ? nil : limit, row)))
      for (variable, reduction) in rowAccumulators {
        piece.append(.store(partial[reduction.value]!, partialPosition(reduction), .variable(variable)))
      }
      body.append(.loop(Loop(layout.parallel, .parallel, piece)))
      for value in reduced.keys.sorted() {
        let reduction = rowReductions.first { $0.value == value }!.reduction
        body.append(combination(of: partial[value]!, into: reduced[value]!, function.type(of: value), reduction))
      }
    } else {
      body.append(.loop(Loop(layout.parallel, .parallel, row)))
    }
    return Kernel(name: name, buffers: buffers, body: body)
  }

  /// Where a piece keeps its share of a sum over rows.
  private func partialPosition(_ reduction: RowReduction) -> Position {
    let count = function.type(of: reduction.value).count
    let start = Position(layout.parallel) * count
    return reduction.isPlane
      ? start + layout.lanePosition + reduction.element * layout.lanes : start + reduction.element
  }

  private func vectorLoop(_ body: [Statement], isRow: Bool = true) -> Statement {
    let sums = body.count { statement in
      if case .accumulate = statement { return true }
      return false
    }
    let unroll = sums == 0 ? 2 : sums <= 2 ? 4 : sums <= 4 ? 2 : 1
    var limit: Position?
    if isRow, layout.rowsAreLanes {
      let covered = layout.row - layout.lanePosition
      let all = layout.sumsRows ? layout.pieceRows * layout.pieces : layout.parallel.extent * layout.lanes
      if all != layout.rows { limit = Position(layout.rows) - covered }
    }
    return .loop(Loop(layout.lane, .vector(width: 16, unroll: unroll), limit: limit, body))
  }

  /// Adds up the pieces of a sum over rows, in their order.
  private func combination(of partial: BufferID, into result: BufferID, _ type: TensorType, _ reduction: Reduction)
    -> Statement
  {
    let block = min(type.count, 1024)
    let blocks = LoopVariable(0, below: (type.count + block - 1) / block)
    let lane = LoopVariable(2, below: block)
    let at = Position(blocks) * block + Position(lane)
    let scalar = ScalarType(type.dtype)
    var total = Scalar.load(partial, scalar, at, guard: nil)
    for piece in 1..<max(1, layout.pieces) {
      total = reduction.combine(total, .load(partial, scalar, at + piece * type.count, guard: nil))
    }
    let limit = type.count % block == 0 ? nil : Position(type.count) - Position(blocks) * block
    return .loop(
      Loop(blocks, .parallel, [.loop(Loop(lane, .vector(width: 16, unroll: 2), limit: limit, [.store(result, at, total)]))]))
  }
}

/// Which lane nodes each vector loop computes, reads again, or keeps for a later one.
struct PhasePlan {
  private let lowering: RegionLowering
  private(set) var lastPhase = 0
  private var reached: [Bool]
  private var roots: [[Scalar]] = []
  /// Where a lane node can be read again after its phase: an f32 result it is stored to.
  private var stored: [Int: (BufferID, Position)] = [:]
  private var computed: [[Int]] = []
  private var isComputed: [Set<Int>] = []
  private var reread: [[Int: (BufferID, Position)]] = []
  private(set) var savedNodes: [Int] = []
  private var saved: [Int: Int] = [:]
  private var firstLocal = 0

  init(_ lowering: RegionLowering, stores: [(value: Scalar, isLane: Bool, phase: Int, buffer: BufferID, position: Position)]) {
    self.lowering = lowering
    reached = [Bool](repeating: false, count: lowering.nodes.count)
    let parameters = lowering.function.parameters.count
    for store in stores {
      if store.isLane, case .variable(let variable) = store.value, lowering.nodes[variable.id].isLane,
        lowering.function.type(of: lowering.function.results[store.buffer.index - parameters]).dtype == .f32
      {
        stored[variable.id] = (store.buffer, store.position)
      }
      root(store.value, in: store.phase, isLane: store.isLane)
    }
  }

  /// Notes that a phase uses an expression.
  mutating func root(_ value: Scalar, in phase: Int, isLane: Bool = true) {
    while roots.count <= phase { roots.append([]) }
    lastPhase = max(lastPhase, phase)
    reach(value)
    roots[phase].append(value)
  }

  func isReached(_ node: Int) -> Bool { node < reached.count && reached[node] }

  private mutating func reach(_ value: Scalar) {
    var pending: [Int] = []
    lowering.visit(value, position: { _ in }) { pending.append($0.id) }
    while let id = pending.popLast() {
      guard !reached[id] else { continue }
      reached[id] = true
      let node = lowering.nodes[id]
      lastPhase = max(lastPhase, node.phase - (node.reduction == nil ? 0 : 1))
      lowering.visit(node.expression, position: { _ in }) { pending.append($0.id) }
      for contribution in node.contributions {
        while roots.count <= contribution.phase { roots.append([]) }
        lastPhase = max(lastPhase, contribution.phase)
        roots[contribution.phase].append(contribution.value)
        lowering.visit(contribution.value, position: { _ in }) { pending.append($0.id) }
      }
      if !node.isLane { lastPhase = max(lastPhase, node.phase) }
    }
  }

  /// Decides for every phase, from the last to the first, what its loop computes.
  mutating func close(firstLocal: Int) {
    self.firstLocal = firstLocal
    while roots.count <= lastPhase { roots.append([]) }
    computed = [[Int]](repeating: [], count: lastPhase + 1)
    isComputed = [Set<Int>](repeating: [], count: lastPhase + 1)
    reread = [[Int: (BufferID, Position)]](repeating: [:], count: lastPhase + 1)
    for phase in (0...lastPhase).reversed() {
      for value in roots[phase] { use(value, in: phase) }
    }
  }

  private mutating func use(_ value: Scalar, in phase: Int) {
    var operands: [Int] = []
    lowering.visit(value, position: { _ in }) { operands.append($0.id) }
    for id in operands { need(id, in: phase) }
  }

  private mutating func need(_ id: Int, in phase: Int) {
    let node = lowering.nodes[id]
    guard node.isLane, !isComputed[phase].contains(id), reread[phase][id] == nil else { return }
    if node.phase == phase || node.isLoad || saved[id] == nil && stored[id] == nil && isCheap(id, budget: 6) {
      compute(id, in: phase)
    } else if let place = stored[id] {
      reread[phase][id] = place
    } else if node.type == .f32 {
      if saved[id] == nil {
        saved[id] = savedNodes.count
        savedNodes.append(id)
        roots[node.phase].append(.variable(Variable(id, node.type)))
      }
      reread[phase][id] = (BufferID(firstLocal + saved[id]!), lowering.layout.lanePosition)
    } else {
      compute(id, in: phase)
    }
  }

  private mutating func compute(_ id: Int, in phase: Int) {
    isComputed[phase].insert(id)
    use(lowering.nodes[id].expression, in: phase)
    computed[phase].append(id)
  }

  /// Whether a node costs little to compute again, down to loads.
  private func isCheap(_ id: Int, budget: Int) -> Bool {
    var left = budget
    return spend(id, &left)
  }

  private func spend(_ id: Int, _ left: inout Int) -> Bool {
    let node = lowering.nodes[id]
    guard node.isLane else { return true }
    left -= max(node.cost, 1)
    guard left >= 0 else { return false }
    if node.isLoad || stored[id] != nil { return true }
    var operands: [Int] = []
    lowering.visit(node.expression, position: { _ in }) { operands.append($0.id) }
    for operand in operands where !spend(operand, &left) { return false }
    return true
  }

  /// The definitions in a phase's vector loop, and what it keeps for later.
  func laneStatements(in phase: Int) -> [Statement] {
    var statements: [Statement] = reread[phase].sorted { $0.key < $1.key }.map { id, place in
      .define(Variable(id, lowering.nodes[id].type), .load(place.0, .f32, place.1, guard: nil))
    }
    for id in computed[phase] {
      statements.append(.define(Variable(id, lowering.nodes[id].type), lowering.nodes[id].expression))
    }
    for (number, id) in savedNodes.enumerated() where lowering.nodes[id].phase == phase {
      statements.append(
        .store(BufferID(firstLocal + number), lowering.layout.lanePosition, .variable(Variable(id, .f32))))
    }
    return statements
  }
}
