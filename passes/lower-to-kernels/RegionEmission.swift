import IR
import Ops

extension RegionLowering {
  /// One element or plane of a result, and where it goes.
  private struct Store {
    let buffer: BufferID
    let position: Position
    let value: Scalar
    let isLane: Bool
    var phase: Int
    /// Where present, nothing is stored unless it holds.
    var condition: Scalar?
  }

  /// The kernel of the region.
  func kernel() throws(Violation) -> Kernel {
    var stores: [Store] = []
    var reduced: [Value: BufferID] = [:]
    var updated: [BufferID: BufferID] = [:]
    for (number, result) in function.results.enumerated() {
      let buffer = BufferID(function.parameters.count + number)
      if layout.isRowReduced(result) {
        guard reduced[result] == nil else { throw "returns the sum \(number) twice" }
        reduced[result] = buffer
        for element in 0..<layout.reducedElements(of: result) { rowReduction(result, element) }
        continue
      }
      guard layout.buffer(of: result) == nil else { throw "returns its own parameter" }
      if let scatter = layout.scatter(making: result) {
        guard let table = layout.buffer(of: scatter.operands[0]) else { throw "changes rows of what it computes itself" }
        updated[buffer] = table
        stores += try self.stores(of: scatter, to: buffer)
        continue
      }
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
    separate(&stores)
    return build(stores, reduced, updated)
  }

  /// The stores of rows to places in a table; a row that goes nowhere is not computed any further.
  private func stores(of scatter: Operation, to buffer: BufferID) throws(Violation) -> [Store] {
    let (table, values) = (function.type(of: scatter.operands[0]), scatter.operands[2])
    guard layout.isLaned(values) else { throw "puts rows into a table that are no planes" }
    let place = position(read(scatter.operands[1], 0))
    let isPlace = folded(Scalar.position(place).isWithin(table.shape[0]))
    return (0..<layout.elements(of: values)).map { plane in
      let value = read(values, plane)
      return Store(
        buffer: buffer, position: place * table.shape[1] + layout.lanePosition + plane * layout.lanes, value: value,
        isLane: true, phase: max(phase(of: value), phase(of: isPlace)), condition: isPlace)
    }
  }

  /// Gives stores under a condition phases of their own, in which they all have the same one.
  private func separate(_ stores: inout [Store]) {
    let conditions = stores.compactMap(\.condition).reduce(into: [Scalar]()) { if !$0.contains($1) { $0.append($1) } }
    var busy = stores.filter { $0.condition == nil && $0.isLane }.map(\.phase).max() ?? -1
    for reduction in rowReductions { busy = reduction.contributions.reduce(busy) { max($0, $1.phase) } }
    for node in nodes { busy = node.contributions.reduce(busy) { max($0, $1.phase) } }
    for condition in conditions {
      let members = stores.indices.filter { stores[$0].condition == condition }
      let first = max(busy + 1, members.map { stores[$0].phase }.max() ?? 0)
      for member in members { stores[member].phase = first }
      busy = first
    }
  }

  /// An element or plane of the current row of a value, whether computed or read.
  private func read(_ value: Value, _ element: Int) -> Scalar {
    guard layout.buffer(of: value) != nil || layout.freeOperation(making: value) != nil else {
      return self.element(value, element)
    }
    return self.element(value, at: layout.offset(of: element, of: value))
  }

  private func build(
    _ stores: [Store], _ reduced: [Value: BufferID], _ updated: [BufferID: BufferID]
  ) -> Kernel {
    var buffers = function.parameters.enumerated().map { number, value in
      Kernel.Buffer("i\(number)", function.type(of: value).dtype, function.type(of: value).count, .input)
    }
    buffers += function.results.enumerated().map { number, value in
      Kernel.Buffer(
        "o\(number)", function.type(of: value).dtype, function.type(of: value).count, .output,
        updates: updated[BufferID(function.parameters.count + number)])
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

    var plan = PhasePlan(self)
    for store in stores {
      plan.root(store.value, in: store.phase)
      if let condition = store.condition {
        plan.guarded(store.phase, by: condition)
      } else if store.isLane {
        plan.keep(store.value, in: store.buffer, at: store.position)
      }
    }
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
      guard !loop.isEmpty else { continue }
      let lanes = vectorLoop(loop)
      row.append(plan.condition(of: phase).map { .conditional($0, [lanes]) } ?? lanes)
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

  /// Phases that run under a condition.
  private var conditions: [Int: Scalar] = [:]

  init(_ lowering: RegionLowering) {
    self.lowering = lowering
    reached = [Bool](repeating: false, count: lowering.nodes.count)
  }

  /// Notes that a lane value stands in a result, from which it can be read again if nothing is lost there.
  mutating func keep(_ value: Scalar, in buffer: BufferID, at position: Position) {
    let results = lowering.function.results
    let result = results[buffer.index - lowering.function.parameters.count]
    guard case .variable(let variable) = value, lowering.nodes[variable.id].isLane,
      lowering.function.type(of: result).dtype == .f32
    else { return }
    stored[variable.id] = (buffer, position)
  }

  /// Notes that all of a phase's lanes run only where a condition holds.
  mutating func guarded(_ phase: Int, by condition: Scalar) {
    conditions[phase] = condition
    reach(condition)
  }

  func condition(of phase: Int) -> Scalar? { conditions[phase] }

  /// Notes that a phase uses an expression.
  mutating func root(_ value: Scalar, in phase: Int) {
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
      var expression = lowering.nodes[id].expression
      // What is known to hold here need not be asked again.
      if case .load(let buffer, let type, let at, let condition?) = expression, condition == conditions[phase] {
        expression = .load(buffer, type, at, guard: nil)
      }
      statements.append(.define(Variable(id, lowering.nodes[id].type), expression))
    }
    for (number, id) in savedNodes.enumerated() where lowering.nodes[id].phase == phase {
      statements.append(
        .store(BufferID(firstLocal + number), lowering.layout.lanePosition, .variable(Variable(id, .f32))))
    }
    return statements
  }
}
