import IR

/// Makes one row-resident kernel of a region: an outer parallel loop over rows; inside, everything that belongs to a
/// row is computed from the operations' formulas and never leaves the chip.
///
/// A value of the region holds `inner` elements for each row. Where `inner` is a multiple of the lane extent `L`, the
/// value is a number of *planes* of `L` elements, and a plane is one expression in the vector loop over the lanes;
/// otherwise each of its elements is a scalar. Streams, coefficients and winners are unrolled by this.
///
/// Of values of some dozen elements, those that are worth it are short vectors, with a loop of their own (`ShortVectors`).
///
/// A reduction over the lanes ends a vector loop, so the row is a sequence of *phases*: scalars, lanes, scalars, lanes…
/// A lane value that a later phase needs is read again, computed again, or kept in a row-sized local buffer.
///
/// Where no value has lanes, the rows themselves are the lanes.
final class RegionLowering: ElementSource {
  let function: Function
  let rows: Int
  let name: String
  let layout: RowLayout
  private let definitions: [Int?]

  /// A named expression of the kernel; its variable's id is its number.
  struct Node {
    var expression: Scalar
    var type: ScalarType
    /// Changes along the lanes: belongs inside a vector loop.
    var isLane: Bool
    /// Lane nodes: the first phase that can compute it. Others: the phase before whose loop it is known.
    var phase: Int
    var cost: Int
    /// For a reduction over lanes: what to accumulate, phase by phase.
    var reduction: Reduction?
    var contributions: [(phase: Int, value: Scalar)] = []
    var isLoad = false
    /// The loop over a short vector that it belongs to.
    var short: LoopVariable?
    /// The local buffer that its elements are kept in.
    var kept: BufferID?
    /// Instead of an expression: the scalars that are kept there.
    var gathered: [Scalar] = []
  }
  var nodes: [Node] = []
  var short = ShortVectors()
  private var elements: [Key: Scalar] = [:]
  var loads: [Load: Scalar] = [:]
  private var frames: [Frame] = []
  /// The first reason why this region cannot be one kernel.
  private(set) var refusal: Violation?
  /// Sums over rows that leave the region.
  private(set) var rowReductions: [RowReduction] = []

  private struct Key: Hashable {
    let value: Int
    let element: Int
  }
  struct Load: Hashable {
    let buffer: BufferID
    let position: Position
    let condition: Scalar?
  }
  private struct Frame {
    let operation: Operation
    /// Leading extents of the reduction that are the rows.
    var rowAxes: Int
    let isLaneResult: Bool
    /// The loop over a short vector that is being asked for.
    var short: LoopVariable?
  }
  struct RowReduction {
    let value: Value
    /// Element (or plane) of the result.
    let element: Int
    /// The loop whose lanes are the elements from there on: that over a plane, or over a short vector.
    let lanes: LoopVariable?
    let reduction: Reduction
    var contributions: [(phase: Int, value: Scalar)]
  }

  init(_ function: Function, rows: Int, name: String) throws(Violation) {
    self.function = function
    self.rows = rows
    self.name = name
    definitions = function.definitions()
    layout = try RowLayout(function, rows: rows)
  }

  // MARK: Elements

  /// The expression of one element (or plane) of a value for the current row.
  func element(_ value: Value, _ element: Int) -> Scalar {
    // Whatever it is, nobody will use it.
    if refusal != nil { return .float(0) }
    if let vector = shortVector(value) { return load(kept(vector.node), .f32, Position(element), nil) }
    let key = Key(value: value.index, element: element)
    if let known = elements[key] { return known }
    let type = function.type(of: value)
    guard let operation = operation(making: value) else { preconditionFailure("inputs are loaded, not computed") }
    let position = Position.position(of: layout.offset(of: element, of: value), in: type.shape)
    let result = name(ask(Frame(operation: operation, rowAxes: 0, isLaneResult: layout.isLaned(value)), at: position))
    // What was refused here may be asked for in another way.
    if refusal == nil { elements[key] = result }
    return result
  }

  /// What the formula of an operation makes of a position.
  private func ask(_ frame: Frame, at position: [Position], where condition: Scalar? = nil) -> Scalar {
    let operation = frame.operation
    guard case .formula(let formula) = operation.op.lower(operation.operands.map { function.type(of: $0) }) else {
      return refuse("'\(operation.op.name)' has no formula")
    }
    frames.append(frame)
    conditions.append(condition)
    defer {
      conditions.removeLast()
      frames.removeLast()
    }
    return formula(self, position)
  }

  /// What a formula makes of a position that runs along a short vector; `nil` if it cannot.
  func element(
    of operation: Operation, at position: [Position], along loop: LoopVariable, rowAxes: Int = 0
  ) -> Scalar? {
    let before = refusal
    refusal = nil
    defer { refusal = before }
    let element = ask(Frame(operation: operation, rowAxes: rowAxes, isLaneResult: false, short: loop), at: position)
    return refusal == nil ? element : nil
  }

  /// The operation of the region that makes a value.
  func operation(making value: Value) -> Operation? { definitions[value.index].map { function.operations[$0] } }

  /// Collects what a sum over the rows adds up.
  func rowReduction(_ value: Value) {
    let type = function.type(of: value)
    if !layout.reducedInLanes(value), let loop = shortLoop(below: type.count, type.dtype),
      let reduction = shortRowReduction(value, along: loop)
    {
      rowReductions.append(reduction)
      return
    }
    for element in 0..<layout.reducedElements(of: value) { rowReduction(value, element) }
  }

  /// The same, of a short vector; `nil` where its elements are better scalars.
  private func shortRowReduction(_ value: Value, along loop: LoopVariable) -> RowReduction? {
    guard let operation = operation(making: value) else { return nil }
    pendingRowReduction = nil
    let position = Position.position(of: Position(loop), in: function.type(of: value).shape)
    let sum = ifWorthwhile(along: loop) {
      element(of: operation, at: position, along: loop, rowAxes: layout.rowAxes(reducedBy: operation) ?? 0)
    }
    guard sum != nil, let (reduction, contributions) = pendingRowReduction,
      contributions.allSatisfy({ shortLoop(of: $0.value) == loop })
    else { return nil }
    return RowReduction(value: value, element: 0, lanes: loop, reduction: reduction, contributions: contributions)
  }

  /// Collects what one element (or plane) of a sum over the rows adds up.
  private func rowReduction(_ value: Value, _ element: Int) {
    guard let operation = operation(making: value) else { preconditionFailure("a sum over rows is an operation of the region") }
    let isPlane = layout.reducedInLanes(value)
    let offset = isPlane ? layout.lanePosition + element * layout.lanes : Position(element)
    pendingRowReduction = nil
    _ = ask(
      Frame(operation: operation, rowAxes: layout.rowAxes(reducedBy: operation) ?? 0, isLaneResult: isPlane),
      at: Position.position(of: offset, in: function.type(of: value).shape))
    guard let (reduction, contributions) = pendingRowReduction else {
      _ = refuse("'\(operation.op.name)' reduces rows and does more")
      return
    }
    rowReductions.append(
      RowReduction(
        value: value, element: element, lanes: isPlane ? layout.lane : nil, reduction: reduction, contributions: contributions))
  }
  private var pendingRowReduction: (Reduction, [(phase: Int, value: Scalar)])?

  func refuse(_ reason: String) -> Scalar {
    if refusal == nil { refusal = Violation(reason) }
    return .float(0)
  }

  // MARK: ElementSource

  func operand(_ number: Int, at position: [Position], where condition: Scalar?) -> Scalar {
    guard let frame = frames.last else { preconditionFailure("formulas are asked within a frame") }
    if refusal != nil { return .float(0) }
    let value = frame.operation.operands[number]
    let type = function.type(of: value)
    let condition = condition.map(folded)
    if condition == .boolean(false) { return zero(type.dtype) }
    var needed = condition == .boolean(true) ? nil : condition
    if let outer = conditions.last ?? nil { needed = needed.map { .binary(.and, outer, $0) } ?? outer }
    let offset = Position.offset(of: position, in: type.shape)
    if let buffer = layout.buffer(of: value) { return load(buffer, type.dtype, offset, needed) }
    if let free = layout.freeOperation(making: value) { return inlined(free, at: position, where: needed) }
    if let loop = frame.short {
      return shortOperand(value, at: offset - layout.row * layout.inner(value), along: loop, where: needed)
    }
    guard let element = layout.element(at: offset, of: value) else {
      return refuse("'\(frame.operation.op.name)' reads its operand across rows or lanes")
    }
    let read = self.element(value, element)
    guard let needed else { return read }
    return .select(needed, read, zero(type.dtype))
  }

  /// The element at an offset of a value that is no operation of the region: what is read, or made on the spot.
  func element(_ value: Value, at offset: Position) -> Scalar {
    let type = function.type(of: value)
    if let buffer = layout.buffer(of: value) { return load(buffer, type.dtype, offset, nil) }
    guard let free = layout.freeOperation(making: value) else { return refuse("a value is neither read nor made up") }
    return inlined(free, at: Position.position(of: offset, in: type.shape), where: nil)
  }

  /// An element of what a free operation makes: its formula on the spot, wherever the position lies.
  private func inlined(_ operation: Operation, at position: [Position], where condition: Scalar?) -> Scalar {
    let outer = frames.last
    let frame = Frame(operation: operation, rowAxes: 0, isLaneResult: outer?.isLaneResult ?? false, short: outer?.short)
    let element = ask(frame, at: position, where: condition)
    guard let condition else { return element }
    return name(.select(condition, element, zero(function.type(of: operation.results[0]).dtype)))
  }
  /// Guards of the free operations that are being inlined: what they read is guarded too.
  private var conditions: [Scalar?] = []

  func position(_ value: Scalar) -> Position {
    if case .position(let position) = value { return position }
    if case .integer(let constant, _) = value { return Position(Int(constant)) }
    if frames.last?.short != nil { _ = refuse("a short vector computes its places") }
    let wide: Scalar = value.type == .i64 ? value : .convert(value, .i64)
    guard case .variable(let variable) = name(wide, always: true) else { preconditionFailure("named above") }
    return Position(variable)
  }

  func reduce(_ reduction: Reduction, over extents: [Int], _ body: ([Position]) -> Scalar) -> Scalar {
    let frame = frames[frames.count - 1]
    let rowAxes = frame.rowAxes
    frames[frames.count - 1].rowAxes = 0
    let row = Position.position(of: layout.row, in: Array(extents.prefix(rowAxes)))
    let inner = Array(extents.dropFirst(rowAxes))
    let inLanes = self.inLanes(inner, frame) { body(row + $0) }
    let parts = inLanes ?? [combine(unrolled(inner) { body(row + $0) }, by: reduction, of: frame)]
    if rowAxes > 0 {
      let parts = frame.short == nil ? parts : parts.map { name($0, always: true) }
      pendingRowReduction = (reduction, parts.map { (phase(of: $0), $0) })
      return .float(0)
    }
    return inLanes == nil ? parts[0] : accumulated(parts, by: reduction)
  }

  /// The parts of a reduction whose one axis runs over the lanes; `nil` if none does.
  private func inLanes(_ extents: [Int], _ frame: Frame, _ body: ([Position]) -> Scalar) -> [Scalar]? {
    guard !layout.rowsAreLanes, !frame.isLaneResult, frame.short == nil else { return nil }
    for axis in extents.indices.reversed() where extents[axis] >= layout.lanes && extents[axis] % layout.lanes == 0 {
      let before = refusal
      refusal = nil
      var blocked = extents
      blocked[axis] = extents[axis] / layout.lanes
      let parts = unrolled(blocked) { at in
        var at = at
        at[axis] = at[axis] * self.layout.lanes + self.layout.lanePosition
        return body(at)
      }
      let failed = refusal != nil
      refusal = before
      if !failed && parts.contains(where: isLane) {
        return parts
      }
    }
    return nil
  }

  private func unrolled(_ extents: [Int], _ body: ([Position]) -> Scalar) -> [Scalar] {
    if refusal != nil { return [.float(0)] }
    let count = extents.reduce(1, *)
    guard count <= (frames.last?.short == nil ? 1024 : 16) else {
      return [refuse("a reduction over \(count) elements of a row would be unrolled")]
    }
    return Positions(of: extents).map { body($0.map { Position($0) }) }
  }

  private func combine(_ parts: [Scalar], by reduction: Reduction, of frame: Frame) -> Scalar {
    guard let first = parts.first else {
      return reduction.identity(ScalarType(function.type(of: frame.operation.results[0]).dtype))
    }
    return parts.dropFirst().reduce(first) { sum, part in
      if reduction == .sum, case .binary(.multiply, let a, let b) = part, part.type == .f32 {
        return name(.fusedMultiplyAdd(a, b, sum))
      }
      return name(reduction.combine(sum, part))
    }
  }

  private func accumulated(_ parts: [Scalar], by reduction: Reduction) -> Scalar {
    let contributions = parts.map { (phase: phase(of: $0), value: $0) }
    let last = contributions.map(\.phase).max() ?? 0
    let type = parts[0].type
    nodes.append(
      Node(
        expression: reduction.identity(type), type: type, isLane: false, phase: last + 1, cost: 0,
        reduction: reduction, contributions: contributions))
    return .variable(Variable(nodes.count - 1, type))
  }
}
