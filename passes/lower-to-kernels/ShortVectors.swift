import IR

/// Values of a few elements a row, such as the coefficients of streams, as *short vectors*: one expression in a vector loop
/// of their own, where their elements would be as many scalars.
///
///     v1 = tanh(v0[0])   …   v24 = tanh(v0[23])        ->      vector c < 24 { %t1[c] = tanh(%t0[c]) }
///
/// What reads single elements, or elements in another order, reads them from a small local buffer.
struct ShortVectors {
  struct Vector {
    /// The node that is its elements.
    let node: Int
    let loop: LoopVariable
  }
  /// A local buffer, and the node that fills it.
  struct Local {
    let count: Int
    let producer: Int
  }

  /// How many elements a short vector has. With fewer, scalars are as good; with more they would not fit into registers.
  static let extents = 4...64
  /// Local buffers have numbers of their own until the kernel is made.
  static let firstLocal = 1 << 20

  fileprivate(set) var vectors: [Value: Vector] = [:]
  fileprivate var asked: Set<Value> = []
  fileprivate var gathered: [Value: BufferID] = [:]
  fileprivate(set) var loops: [LoopVariable] = []
  fileprivate(set) var locals: [Local] = []
  /// What the formula that is being asked has read: elements of short vectors, and those that had to be put together.
  fileprivate var read = 0, put = 0

  fileprivate mutating func loop(below extent: Int) -> LoopVariable {
    if let known = loops.first(where: { $0.extent == extent }) { return known }
    loops.append(LoopVariable(3 + loops.count, below: extent))
    return loops[loops.count - 1]
  }

  fileprivate mutating func addLocal(_ count: Int, from producer: Int) -> BufferID {
    locals.append(Local(count: count, producer: producer))
    return BufferID(Self.firstLocal + locals.count - 1)
  }

  /// The node that fills a buffer, if it is one of these.
  func producer(of buffer: BufferID) -> Int? {
    buffer.index >= Self.firstLocal ? locals[buffer.index - Self.firstLocal].producer : nil
  }
}

extension RegionLowering {
  /// The value as a short vector, if it is worth being one.
  func shortVector(_ value: Value) -> ShortVectors.Vector? {
    if let known = short.vectors[value] { return known }
    guard short.asked.insert(value).inserted, let vector = makeShortVector(value) else { return nil }
    short.vectors[value] = vector
    return vector
  }

  private func makeShortVector(_ value: Value) -> ShortVectors.Vector? {
    let type = function.type(of: value), extent = layout.inner(value)
    guard !layout.isLaned(value), !layout.isRowReduced(value), let operation = operation(making: value),
      let loop = shortLoop(below: extent, type.dtype)
    else { return nil }
    let position = Position.position(of: layout.row * extent + Position(loop), in: type.shape)
    let element = ifWorthwhile(along: loop) { self.element(of: operation, at: position, along: loop) }
    guard let element, element.type == .f32, shortLoop(of: element) == loop,
      case .variable(let named) = name(element, always: true)
    else { return nil }
    return ShortVectors.Vector(node: named.id, loop: loop)
  }

  /// The loop along which so many elements might be a short vector.
  func shortLoop(below extent: Int, _ dtype: DType) -> LoopVariable? {
    guard !layout.rowsAreLanes, dtype == .f32, ShortVectors.extents.contains(extent), extent <= layout.lanes else { return nil }
    return short.loop(below: extent)
  }

  /// What is asked for, if its loop costs less than as many scalars: where it reads what other such loops made, or is long
  /// enough for what it computes.
  func ifWorthwhile(along loop: LoopVariable, _ ask: () -> Scalar?) -> Scalar? {
    let (first, before) = (nodes.count, (short.read, short.put))
    (short.read, short.put) = (0, 0)
    defer { (short.read, short.put) = before }
    guard let element = ask() else { return nil }
    if short.read > 0 { return element }
    let cost = nodes[first...].reduce(cost(of: element)) { $0 + ($1.short == loop ? $1.cost : 0) }
    let isWorthwhile = short.put > 0 ? cost >= 4 && loop.extent * cost >= 64 : loop.extent >= 8
    return isWorthwhile ? element : nil
  }

  /// An operand's element that a short vector reads.
  func shortOperand(_ value: Value, at within: Position, along loop: LoopVariable, where condition: Scalar?) -> Scalar {
    func chosen(_ read: Scalar) -> Scalar { condition.map { .select($0, read, .float(0)) } ?? read }
    let extent = layout.inner(value), type = function.type(of: value)
    if let number = within.asConstant, (0..<extent).contains(number), !layout.isLaned(value) {
      return chosen(element(value, number))
    }
    let isOfRow = within.variables.isEmpty && ![layout.lane, layout.serial, layout.parallel].contains { within.depends(on: $0) }
    let isInside = condition != nil || within.range.map { $0.lowerBound >= 0 && $0.upperBound < extent } == true
    guard isOfRow, isInside, !layout.isLaned(value), type.dtype == .f32, extent <= ShortVectors.extents.upperBound else {
      return refuse("a short vector reads its operand across rows or lanes")
    }
    guard let vector = shortVector(value) else {
      short.put += 1
      return load(gathered(value), .f32, within, condition)
    }
    short.read += 1
    if within == Position(vector.loop), vector.loop == loop { return chosen(.variable(Variable(vector.node, .f32))) }
    return load(kept(vector.node), .f32, within, condition)
  }

  /// A local buffer with the elements of a value that are scalars.
  private func gathered(_ value: Value) -> BufferID {
    if let known = short.gathered[value] { return known }
    let elements = (0..<layout.inner(value)).map { element(value, $0) }
    let buffer = short.addLocal(elements.count, from: addNode(gathering: elements))
    nodes[nodes.count - 1].kept = buffer
    if refusal == nil { short.gathered[value] = buffer }
    return buffer
  }

  /// A local buffer with the elements of a short vector.
  func kept(_ node: Int) -> BufferID {
    if let known = nodes[node].kept { return known }
    guard let loop = nodes[node].short else { preconditionFailure("short vectors have a loop") }
    let buffer = short.addLocal(loop.extent, from: node)
    nodes[node].kept = buffer
    return buffer
  }

  /// The loop along which an expression changes, if it is one over a short vector.
  func shortLoop(of expression: Scalar) -> LoopVariable? {
    var found: LoopVariable?
    visit(expression, position: { at in found = found ?? self.short.loops.first { at.depends(on: $0) } }) {
      found = found ?? self.nodes[$0.id].short
    }
    return found
  }
}
