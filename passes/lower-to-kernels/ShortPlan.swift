import IR

/// Where the scalars and short vectors of a row stand. In each phase, before its lanes, there are steps: scalars, then loops
/// over short vectors that read them, then the scalars that read those, and so on.
struct ShortPlan {
  private struct Place: Hashable {
    var phase: Int
    var step: Int
  }
  private struct Key: Hashable {
    var place: Place
    var loop: LoopVariable
  }

  private let lowering: RegionLowering
  private var places: [Int: Place] = [:]
  private var scalars: [Place: [Int]] = [:]
  /// The nodes of each loop, what it reads again, and what it does with them.
  private var computed: [Key: [Int]] = [:]
  private var reread: [Key: Set<Int>] = [:]
  private var ends: [Key: [Statement]] = [:]
  private var lastSteps: [Int: Int] = [:]

  init(_ lowering: RegionLowering, as plan: PhasePlan) {
    self.lowering = lowering
    for (id, node) in lowering.nodes.enumerated() where !node.isLane && node.reduction == nil && plan.isReached(id) {
      var place = Place(phase: plan.definition(of: id), step: 0)
      for value in [node.expression] + node.gathered { value.forEachVariable { follow($0.id, by: 0, &place) } }
      lowering.forEachProducer(of: node.expression) { follow($0, by: lowering.nodes[$0].short == nil ? 0 : 1, &place) }
      places[id] = place
      lastSteps[place.phase] = max(lastSteps[place.phase] ?? 0, place.step)
      if let loop = node.short { compute(id, in: Key(place: place, loop: loop)) } else { scalars[place, default: []].append(id) }
    }
  }

  /// Puts a place behind what it follows.
  private func follow(_ id: Int, by steps: Int, _ place: inout Place) {
    guard let other = places[id], other.phase == place.phase else { return }
    place.step = max(place.step, other.step + steps)
  }

  /// Notes that a loop computes a node; what it reads of other loops it reads again.
  private mutating func compute(_ id: Int, in key: Key) {
    guard !computed[key, default: []].contains(id) else { return }
    for operand in named(in: lowering.nodes[id].expression) { need(operand, in: key) }
    computed[key, default: []].append(id)
  }

  private func named(in expression: Scalar) -> [Int] {
    var nodes: [Int] = []
    expression.forEachVariable { nodes.append($0.id) }
    return nodes
  }

  private mutating func need(_ id: Int, in key: Key) {
    let node = lowering.nodes[id]
    guard let loop = node.short, places[id] != key.place else { return }
    precondition(loop == key.loop, "elements of other short vectors are read from memory")
    // Nothing is kept that can be read from where it was.
    if node.isLoad || node.type != .f32 { return compute(id, in: key) }
    _ = lowering.kept(id)
    reread[key, default: []].insert(id)
  }

  /// Notes what a phase does with the elements of a short vector.
  mutating func end(_ phase: Int, along loop: LoopVariable, reading value: Scalar, with statement: Statement) {
    let operands = named(in: value)
    var place = Place(phase: phase, step: 0)
    for operand in operands { follow(operand, by: 0, &place) }
    let key = Key(place: place, loop: loop)
    for operand in operands { need(operand, in: key) }
    ends[key, default: []].append(statement)
    lastSteps[phase] = max(lastSteps[phase] ?? 0, place.step)
  }

  /// The scalars and loops of a phase.
  func statements(in phase: Int) -> [Statement] {
    guard let last = lastSteps[phase] else { return [] }
    return (0...last).flatMap { step -> [Statement] in
      let place = Place(phase: phase, step: step)
      let loops = lowering.short.loops.compactMap { loop -> Statement? in
        let body = statements(of: Key(place: place, loop: loop))
        return body.isEmpty ? nil : .loop(Loop(loop, .vector(width: 16, unroll: 1), body))
      }
      return (scalars[place] ?? []).flatMap(scalarStatements) + loops
    }
  }

  private func scalarStatements(of id: Int) -> [Statement] {
    let node = lowering.nodes[id]
    guard let buffer = node.kept else { return [.define(Variable(id, node.type), node.expression)] }
    return node.gathered.enumerated().map { .store(buffer, Position($0), $1) }
  }

  private func statements(of key: Key) -> [Statement] {
    let again = (reread[key] ?? []).sorted().compactMap { id in
      lowering.nodes[id].kept.map { Statement.define(Variable(id, .f32), .load($0, .f32, Position(key.loop), guard: nil)) }
    }
    let own = (computed[key] ?? []).sorted().flatMap { id -> [Statement] in
      let node = lowering.nodes[id]
      let define = Statement.define(Variable(id, node.type), node.expression)
      guard let buffer = node.kept, places[id] == key.place else { return [define] }
      return [define, .store(buffer, Position(key.loop), .variable(Variable(id, .f32)))]
    }
    return again + own + (ends[key] ?? [])
  }
}

extension Kernel {
  /// The kernel with the local buffers that short vectors are kept in.
  func withShortLocals(_ locals: [ShortVectors.Local]) -> Kernel {
    var kernel = self
    var numbers: [Int: BufferID] = [:]
    func number(_ buffer: BufferID) -> BufferID {
      guard buffer.index >= ShortVectors.firstLocal else { return buffer }
      if let known = numbers[buffer.index] { return known }
      numbers[buffer.index] = BufferID(kernel.buffers.count)
      let count = locals[buffer.index - ShortVectors.firstLocal].count
      kernel.buffers.append(Buffer("t\(numbers.count - 1)", .f32, count, .local))
      return numbers[buffer.index]!
    }
    let substitution = Substitution(
      counter: { $0 }, loop: { Position($0) }, variable: { $0 }, source: { (number($0), $1) },
      targets: { [(number($0), $1)] })
    kernel.body = substitution.body(body)
    return kernel
  }
}
