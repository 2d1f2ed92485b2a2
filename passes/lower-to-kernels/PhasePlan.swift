import IR
import Ops

/// Which lane nodes each vector loop computes, reads again, or keeps for a later one.
struct PhasePlan {
  private let lowering: RegionLowering
  private(set) var lastPhase = 0
  private var reached: [Bool]
  private var roots: [[Scalar]] = []
  private var computed: [[Int]] = []
  private var isComputed: [Set<Int>] = []
  /// What each phase reads from locals.
  private var reread: [Set<Int>] = []
  private(set) var savedNodes: [Int] = []
  private var saved: [Int: Int] = [:]
  /// The phase that first uses a scalar.
  private var firstUse: [Int] = []
  /// Whether it is known what is kept.
  private var isSettled = false
  private var firstLocal = 0

  /// Phases that run under a condition.
  private var conditions: [Int: Scalar] = [:]

  init(_ lowering: RegionLowering) {
    self.lowering = lowering
    reached = [Bool](repeating: false, count: lowering.nodes.count)
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
    var pending = operands(of: value)
    while let id = pending.popLast() {
      guard !reached[id] else { continue }
      reached[id] = true
      let node = lowering.nodes[id]
      lastPhase = max(lastPhase, node.phase - (node.reduction == nil ? 0 : 1))
      pending += operands(of: node.expression)
      // The first element first: sums over lanes are best made in the order of what they become.
      pending += node.gathered.flatMap(operands).reversed()
      for contribution in node.contributions {
        while roots.count <= contribution.phase { roots.append([]) }
        lastPhase = max(lastPhase, contribution.phase)
        roots[contribution.phase].append(contribution.value)
        pending += operands(of: contribution.value)
      }
      if !node.isLane { lastPhase = max(lastPhase, node.phase) }
    }
  }

  /// Decides for every phase what its loop computes.
  ///
  /// From the last phase to the first each notes what it would have kept. Of that, what follows cheaply from the rest is not
  /// kept after all, and phases are decided once more.
  mutating func close(firstLocal: Int) {
    self.firstLocal = firstLocal
    while roots.count <= lastPhase { roots.append([]) }
    let wanted = roots
    decide()
    let candidates = savedNodes.sorted()
    (roots, savedNodes, saved) = (wanted, [], [:])
    for id in candidates where !isCheap(id) { keep(id) }
    isSettled = true
    decide()
    noteUses()
  }

  /// Finds the phase that first uses each scalar. It is computed there and not where it could be: few values live long.
  private mutating func noteUses() {
    firstUse = [Int](repeating: .max, count: lowering.nodes.count)
    func note(_ value: Scalar, _ phase: Int) {
      for id in operands(of: value) { firstUse[id] = min(firstUse[id], phase) }
    }
    for phase in 0...lastPhase {
      for value in roots[phase] { note(value, phase) }
      for id in computed[phase] { note(lowering.nodes[id].expression, phase) }
      if let condition = conditions[phase] { note(condition, phase) }
    }
    for (id, node) in lowering.nodes.enumerated().reversed() where !node.isLane && firstUse[id] < .max {
      let phase = definition(of: id)
      lowering.forEachOperand(of: node) { firstUse[$0] = min(firstUse[$0], phase) }
    }
  }

  /// The phase before whose loop a scalar is computed.
  func definition(of id: Int) -> Int {
    let earliest = lowering.nodes[id].phase
    return firstUse[id] == .max ? earliest : max(earliest, firstUse[id])
  }

  private mutating func decide() {
    computed = [[Int]](repeating: [], count: lastPhase + 1)
    isComputed = [Set<Int>](repeating: [], count: lastPhase + 1)
    reread = isComputed
    for phase in (0...lastPhase).reversed() {
      for value in roots[phase] { use(value, in: phase) }
    }
  }

  private mutating func keep(_ id: Int) {
    guard saved[id] == nil else { return }
    saved[id] = savedNodes.count
    savedNodes.append(id)
    roots[lowering.nodes[id].phase].append(.variable(Variable(id, .f32)))
  }

  private mutating func use(_ value: Scalar, in phase: Int) {
    for id in operands(of: value) { need(id, in: phase) }
  }

  private mutating func need(_ id: Int, in phase: Int) {
    let node = lowering.nodes[id]
    guard node.isLane, !isComputed[phase].contains(id), !reread[phase].contains(id) else { return }
    guard node.phase < phase, !node.isLoad, node.type == .f32 else { return compute(id, in: phase) }
    if !isSettled, !isCheap(id) { keep(origin(of: id)) }
    if saved[id] != nil { reread[phase].insert(id) } else { compute(id, in: phase) }
  }

  private mutating func compute(_ id: Int, in phase: Int) {
    isComputed[phase].insert(id)
    use(lowering.nodes[id].expression, in: phase)
    computed[phase].append(id)
  }

  /// Steps that are rather done again than a value kept; a read from memory counts as several.
  private static let cheap = 18
  private static let load = 3

  /// Whether a node costs little to compute again, down to loads and what is kept.
  private func isCheap(_ id: Int) -> Bool {
    if saved[id] != nil { return false }
    var left = Self.cheap
    var seen: Set<Int> = []
    return spend(id, &left, &seen)
  }

  private func spend(_ id: Int, _ left: inout Int, _ seen: inout Set<Int>) -> Bool {
    let node = lowering.nodes[id]
    guard node.isLane, seen.insert(id).inserted else { return true }
    let isKept = saved[id] != nil
    left -= isKept ? 1 : node.isLoad ? Self.load : max(node.cost, 1)
    guard left >= 0 else { return false }
    if node.isLoad || isKept { return true }
    for operand in operands(of: node.expression) where !spend(operand, &left, &seen) { return false }
    return true
  }

  /// The value to keep where one is wanted again: what it follows from cheaply, if that is one value. So `x`, `x − m` and
  /// `(x − m) · r` in three phases are one local.
  private func origin(of id: Int) -> Int {
    var (origin, left) = (id, Self.cheap)
    while saved[origin] == nil {
      let lanes = Set(operands(of: lowering.nodes[origin].expression).filter { lowering.nodes[$0].isLane })
      let computed = lanes.filter { !lowering.nodes[$0].isLoad }
      left -= max(lowering.nodes[origin].cost, 1) + (lanes.count - computed.count) * Self.load
      guard left >= 0, computed.count == 1, let next = computed.first, lowering.nodes[next].type == .f32 else { break }
      origin = next
    }
    return origin
  }

  private func operands(of value: Scalar) -> [Int] {
    var operands: [Int] = []
    lowering.forEachOperand(of: value) { operands.append($0) }
    return operands
  }

  /// The definitions in a phase's vector loop, and what it keeps for later.
  func laneStatements(in phase: Int) -> [Statement] {
    var statements: [Statement] = reread[phase].sorted().map { id in
      let local = BufferID(firstLocal + saved[id]!)
      return .define(Variable(id, .f32), .load(local, .f32, lowering.layout.lanePosition, guard: nil))
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
