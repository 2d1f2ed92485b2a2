import IR

/// Before which statements of a stage the threads of a team wait for each other: where one of them may touch memory
/// that another one has stored to, or store to memory that another one may still read.
///
/// There is no need to wait between two vector loops where each lane touches only what the same lane touched before:
///
///     vector j { t[j] = … }
///     vector j { y[j] = t[j] * scale }      the same thread does lane j
func waits(
  in stage: Loop, of kernel: Kernel, _ overlaps: Overlaps, as mapping: ThreadMapping.Stage
) -> Set<ThreadMapping.Path> {
  var search = WaitSearch(kernel, overlaps, mapping)
  let rounds = mapping.blocks * mapping.teamsPerBlock < stage.variable.extent && mapping.divided == nil
  if rounds {
    // From one round to the next only locals stay: all else belongs to one iteration.
    search.repeatedly(stage.variable, stage.body, at: []) { kernel.buffers[$0.buffer.index].role == .local }
  } else {
    search.run(stage.body, at: [], inside: [])
  }
  return search.waits
}

/// Which buffers may be one memory.
struct Overlaps {
  private(set) var pairs: Set<Set<BufferID>> = []
  private(set) var buffers: Set<BufferID> = []

  init(_ kernel: Kernel) {
    let all = kernel.buffers.indices.map { BufferID($0) }
    for input in all where kernel.buffers[input.index].role == .input {
      for output in all where kernel.buffers[output.index].role == .output {
        guard kernel.updatesInPlace(input, output) else { continue }
        pairs.insert([input, output])
        buffers.formUnion([input, output])
      }
    }
  }

  func areOneMemory(_ a: BufferID, _ b: BufferID) -> Bool { a == b || pairs.contains([a, b]) }
}

/// One way in which a statement touches a buffer.
private struct Access: Hashable {
  var buffer: BufferID
  /// `nil` where the statement may touch any element.
  var position: Position?
  var isStore: Bool
  var who: Who
  /// The loops whose counters may differ between this access and another one to be compared with it.
  var varying: Set<LoopVariable>

  enum Who: Hashable {
    /// All threads of the team, each of them everything.
    case all
    case leader
    /// Each thread what belongs to its lanes of this loop.
    case lane(LoopVariable)
    /// All threads, each of them something.
    case some
  }
}

private struct WaitSearch {
  let kernel: Kernel
  let overlaps: Overlaps
  let mapping: ThreadMapping.Stage
  /// What was touched since the team last waited.
  var pending: Set<Access> = []
  var waits: Set<ThreadMapping.Path> = []

  init(_ kernel: Kernel, _ overlaps: Overlaps, _ mapping: ThreadMapping.Stage) {
    self.kernel = kernel
    self.overlaps = overlaps
    self.mapping = mapping
  }

  mutating func run(_ body: [Statement], at path: ThreadMapping.Path, inside loops: Set<LoopVariable>) {
    for (number, statement) in body.enumerated() { run(statement, at: path + [number], inside: loops) }
  }

  private mutating func run(_ statement: Statement, at path: ThreadMapping.Path, inside loops: Set<LoopVariable>) {
    switch statement {
    case .accumulator: break
    case .define(_, let scalar), .accumulate(_, _, let scalar): touch(loads(of: scalar, by: .all), at: path)
    case .store(let buffer, let position, let scalar):
      // Where each thread has its own copy, each of them computes the value.
      let isOwn = mapping.places[buffer] == .thread
      let store = Access(buffer: buffer, position: position, isStore: true, who: .leader, varying: [])
      touch(loads(of: scalar, by: isOwn ? .all : .leader) + [store], at: path)
    case .conditional(let condition, let body):
      touch(loads(of: condition, by: .all), at: path)
      let before = pending
      run(body, at: path, inside: loops)
      pending.formUnion(before)
    case .loop(let loop):
      if case .vector = loop.kind {
        touch(accesses(of: loop.body, in: loop.variable, varying: [loop.variable]), at: path)
      } else {
        run(serial: loop, at: path, inside: loops)
      }
    case .product(let product):
      touch([product.a, product.b].map { touched($0, isStore: false) }, at: path)
      // The threads meet when the last piece of the operands has been read; then the result is stored.
      let isSure = product.rowLimit == nil && product.depthLimit == nil && min(product.m, product.n, product.k) > 0
        && mapping.divided == nil
      if isSure { pending = [] }
      touch([touched(product.c, isStore: true)], at: path)
    }
    // A block that combines accumulators waits on the way.
    if mapping.combinations[path] != nil && !mapping.isPartOfWarp { pending = [] }
  }

  /// Where only what came before a loop asks its body to wait, the team waits once, before the loop.
  private mutating func run(serial loop: Loop, at path: ThreadMapping.Path, inside loops: Set<LoopVariable>) {
    let before = pending
    pending = []
    repeatedly(loop.variable, loop.body, at: path, inside: loops) { _ in true }
    let (carried, ownWaits) = (pending, waits)
    pending = before.union(carried)
    run(loop.body, at: path, inside: loops.union([loop.variable]))
    if waits == ownWaits && !waits.contains(path) {
      pending = before.union(carried)
    } else {
      waits = ownWaits.union([path])
      pending = carried
    }
  }

  /// The body of a loop after itself, until nothing new is pending at its end. Whatever comes later, in the loop or
  /// after it, may meet these accesses at another count.
  mutating func repeatedly(
    _ variable: LoopVariable, _ body: [Statement], at path: ThreadMapping.Path, inside loops: Set<LoopVariable> = [],
    keeping stays: (Access) -> Bool
  ) {
    let inner = loops.union([variable])
    let before = pending
    var carried: Set<Access> = []
    while true {
      pending = before.union(carried)
      run(body, at: path, inside: inner)
      let next = carried.union(
        pending.filter(stays).map { access in
          var access = access
          access.varying.insert(variable)
          return access
        })
      if next == carried {
        pending = carried
        return
      }
      carried = next
    }
  }

  private mutating func touch(_ accesses: [Access], at path: ThreadMapping.Path) {
    let shared = accesses.filter { mapping.places[$0.buffer]?.isOfThread != true }
    let isInConflict = shared.contains { later in pending.contains { conflict($0, later) } }
    if isInConflict || waits.contains(path) {
      waits.insert(path)
      pending = []
    }
    pending.formUnion(shared.filter { $0.isStore || mayBeStoredTo($0.buffer) })
  }

  private func mayBeStoredTo(_ buffer: BufferID) -> Bool {
    kernel.buffers[buffer.index].role != .input || overlaps.buffers.contains(buffer)
  }

  private func conflict(_ a: Access, _ b: Access) -> Bool {
    guard a.isStore || b.isStore, overlaps.areOneMemory(a.buffer, b.buffer) else { return false }
    if a.who == .leader && b.who == .leader { return false }
    guard let p = a.position, let q = b.position else { return true }
    if let p = p.range, let q = q.range, !p.overlaps(q) { return false }
    guard case .lane(let first) = a.who, case .lane(let second) = b.who else { return true }
    // The same lane of two loops is done by the same thread, and counted alike.
    let lane = LoopVariable(-1, below: first.extent)
    let isOneForm = first.extent == second.extent && renamed(p, first, lane) == renamed(q, second, lane)
    let varying = Set(a.varying.union(b.varying).filter { $0 != first && $0 != second })
    return !(isOneForm && isInjective(renamed(p, first, lane), over: varying.union([lane]), with: lane))
  }

  private func renamed(_ position: Position, _ loop: LoopVariable, _ lane: LoopVariable) -> Position {
    position.replacing { $0 == loop ? Position(lane) : Position($0) }
  }

  /// Whether the position tells the lane, whatever the other loops are at: the steps are the digits of a number.
  private func isInjective(_ position: Position, over loops: Set<LoopVariable>, with lane: LoopVariable) -> Bool {
    var digits: [(step: Int, extent: Int)] = []
    for loop in loops {
      guard let step = position.step(along: loop) else { return false }
      if step == 0 && loop == lane && lane.extent > 1 { return false }
      if step != 0 { digits.append((abs(step), loop.extent)) }
    }
    guard position.variables.isEmpty else { return false }
    digits.sort { $0.step < $1.step }
    var reach = 0
    for digit in digits {
      if digit.step <= reach { return false }
      reach += digit.step * (digit.extent - 1)
    }
    return true
  }

  private func touched(_ matrix: Product.Matrix, isStore: Bool) -> Access {
    Access(buffer: matrix.buffer, position: nil, isStore: isStore, who: .some, varying: [])
  }

  private func loads(of scalar: Scalar, by who: Access.Who, varying: Set<LoopVariable> = []) -> [Access] {
    var result: [Access] = []
    if case .load(let buffer, _, let position, _) = scalar {
      result.append(Access(buffer: buffer, position: position, isStore: false, who: who, varying: varying))
    }
    scalar.forEachPart { result += loads(of: $0, by: who, varying: varying) }
    return result
  }

  /// All that the lanes of a vector loop touch.
  private func accesses(
    of body: [Statement], in lane: LoopVariable, varying: Set<LoopVariable>
  ) -> [Access] {
    body.flatMap { statement -> [Access] in
      switch statement {
      case .accumulator, .product: return []
      case .define(_, let scalar), .accumulate(_, _, let scalar):
        return loads(of: scalar, by: .lane(lane), varying: varying)
      case .store(let buffer, let position, let scalar):
        let store = Access(buffer: buffer, position: position, isStore: true, who: .lane(lane), varying: varying)
        return loads(of: scalar, by: .lane(lane), varying: varying) + [store]
      case .conditional(let condition, let body):
        return loads(of: condition, by: .lane(lane), varying: varying)
          + accesses(of: body, in: lane, varying: varying)
      case .loop(let loop):
        return accesses(of: loop.body, in: lane, varying: varying.union([loop.variable]))
      }
    }
  }
}
