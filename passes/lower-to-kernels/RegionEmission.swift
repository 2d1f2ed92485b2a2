import IR
import Ops

extension RegionLowering {
  /// One element or plane of a result, and where it goes.
  private struct Store {
    let buffer: BufferID
    let position: Position
    let value: Scalar
    /// The loop it stands in, that over the lanes or over a short vector; `nil` for scalar code.
    let loop: LoopVariable?
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
        rowReduction(result)
        continue
      }
      guard layout.buffer(of: result) == nil else { throw "returns its own parameter" }
      if let scatter = layout.scatter(making: result) {
        guard let table = layout.buffer(of: scatter.operands[0]) else { throw "changes rows of what it computes itself" }
        updated[buffer] = table
        stores += try self.stores(of: scatter, to: buffer)
        continue
      }
      if let vector = shortVector(result) {
        let at = layout.row * vector.loop.extent + Position(vector.loop)
        stores.append(
          Store(
            buffer: buffer, position: at, value: .variable(Variable(vector.node, .f32)), loop: vector.loop,
            phase: nodes[vector.node].phase))
        continue
      }
      let isLaned = layout.isLaned(result) || layout.rowsAreLanes
      for element in 0..<layout.elements(of: result) {
        let value = unrounded(self.element(result, element), to: function.type(of: result).dtype)
        stores.append(
          Store(
            buffer: buffer, position: layout.offset(of: element, of: result), value: value, loop: isLaned ? layout.lane : nil,
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
      let value = unrounded(read(values, plane), to: table.dtype)
      return Store(
        buffer: buffer, position: place * table.shape[1] + layout.lanePosition + plane * layout.lanes, value: value,
        loop: layout.lane, phase: max(phase(of: value), phase(of: isPlace)), condition: isPlace)
    }
  }

  /// What is rounded to a type, if only to be stored as that type: the store rounds.
  private func unrounded(_ value: Scalar, to dtype: DType) -> Scalar {
    guard case .variable(let variable) = value, case .round(let exact, dtype) = nodes[variable.id].expression else { return value }
    return exact
  }

  /// Gives stores under a condition phases of their own, in which they all have the same one.
  private func separate(_ stores: inout [Store]) {
    let conditions = stores.compactMap(\.condition).reduce(into: [Scalar]()) { if !$0.contains($1) { $0.append($1) } }
    var busy = stores.filter { $0.condition == nil && $0.loop == layout.lane }.map(\.phase).max() ?? -1
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
    let sums = RowSums(rowReductions, into: reduced, layout, &buffers)

    var plan = PhasePlan(self)
    for store in stores {
      plan.root(store.value, in: store.phase)
      plan.root(.position(store.position), in: store.phase)
      if let condition = store.condition {
        plan.guarded(store.phase, by: condition)
      }
    }
    for reduction in rowReductions {
      for contribution in reduction.contributions { plan.root(contribution.value, in: contribution.phase) }
    }
    plan.close(firstLocal: buffers.count)
    for (number, _) in plan.savedNodes.enumerated() {
      buffers.append(Kernel.Buffer("l\(number)", .f32, layout.lanes, .local))
    }

    var shorts = ShortPlan(self, as: plan)
    for store in stores {
      guard let loop = store.loop, loop != layout.lane else { continue }
      shorts.end(store.phase, along: loop, reading: store.value, with: .store(store.buffer, store.position, store.value))
    }
    for reduction in rowReductions {
      guard let loop = reduction.lanes, loop != layout.lane else { continue }
      for (phase, value) in reduction.contributions {
        shorts.end(phase, along: loop, reading: value, with: sums.add(value, to: reduction, along: loop))
      }
    }

    // The body of one row.
    var row: [Statement] = []
    for (id, node) in nodes.enumerated() where node.reduction != nil && plan.isReached(id) {
      row.append(.accumulator(Variable(id, node.type), node.reduction!))
    }
    var rowAccumulators: [(Variable, RowReduction)] = []
    var nextVariable = nodes.count
    for phase in 0...plan.lastPhase {
      row += shorts.statements(in: phase)
      var loop = plan.laneStatements(in: phase)
      for (id, node) in nodes.enumerated() where plan.isReached(id) {
        guard let reduction = node.reduction else { continue }
        for contribution in node.contributions where contribution.phase == phase {
          loop.append(.accumulate(Variable(id, node.type), reduction, contribution.value))
        }
      }
      for store in stores where store.phase == phase {
        let statement = Statement.store(store.buffer, store.position, store.value)
        if store.loop == layout.lane { loop.append(statement) } else if store.loop == nil { row.append(statement) }
      }
      for reduction in rowReductions where reduction.lanes == nil || reduction.lanes == layout.lane {
        for contribution in reduction.contributions where contribution.phase == phase {
          if let lanes = reduction.lanes {
            loop.append(sums.add(contribution.value, to: reduction, along: lanes))
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
      var piece = sums.start().map { vectorLoop($0.body, along: $0.lanes, isRow: false) }
      piece += rowAccumulators.map { .accumulator($0.0, $0.1.reduction) }
      let left = Position(layout.rows) - Position(layout.parallel) * layout.pieceRows
      let limit = layout.rowsAreLanes ? (left + (layout.lanes - 1)) / layout.lanes : left
      let isEven = layout.pieceRows * layout.pieces == layout.rows
      piece.append(.loop(Loop(layout.serial, .serial, limit: isEven ? nil : limit, row)))
      piece += sums.end().map { vectorLoop($0.body, along: $0.lanes, isRow: false) }
      piece += rowAccumulators.map { sums.keep(.variable($0.0), as: $0.1) }
      body.append(.loop(Loop(layout.parallel, .parallel, piece)))
      body += sums.stages()
    } else {
      body.append(.loop(Loop(layout.parallel, .parallel, row)))
    }
    return Kernel(name: name, buffers: buffers, body: body).withShortLocals(short.locals)
  }

  private func vectorLoop(_ body: [Statement], along lanes: LoopVariable? = nil, isRow: Bool = true) -> Statement {
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
    return .loop(Loop(lanes ?? layout.lane, .vector(width: 16, unroll: unroll), limit: limit, body))
  }
}
