import IR

/// How many neighbouring lanes a thread does at a time, by the extent of the loop: as many as 16 bytes hold of the
/// narrowest elements that the loop touches one after the other.
///
/// All loops of an extent have one width, that of the loop with the narrowest elements, so that a lane is the same thread's
/// in all of them.
struct LaneWidths {
  private var widths: [Int: Int] = [:]

  /// - Parameters:
  ///   - team: the threads of a team, if they are known: none of them shall be left without a lane.
  ///   - most: more lanes than these no thread does at a time.
  init(_ stage: Loop, of kernel: Kernel, team: Int? = nil, atMost most: Int = .max) {
    for (_, loop) in vectorLoops(in: stage.body, at: []) {
      let extent = loop.variable.extent
      guard var own = LaneWidths.width(of: loop, in: kernel).map({ min($0, most) }) else { continue }
      while let team, own > 1, own * team > extent { own /= 2 }
      let known = widths[extent] ?? own
      widths[extent] = own == 1 || known == 1 ? 1 : max(known, own)
    }
  }

  var widest: Int { widths.values.max() ?? 1 }
  subscript(extent: Int) -> Int { widths[extent] ?? 1 }

  /// Threads that a loop of an extent can feed.
  func threads(_ extent: Int) -> Int { (extent + self[extent] - 1) / self[extent] }

  /// `nil` where any width will do.
  private static func width(of loop: Loop, in kernel: Kernel) -> Int? {
    let touched = LaneAccesses(loop)
    if touched.hasLoops { return 1 }
    let all = touched.loads + touched.stores
    guard let least = all.map({ kernel.buffers[$0.buffer.index].dtype.size }).min() else { return nil }
    let widths = [8, 4, 2].filter { $0 * least <= 16 && loop.variable.extent.isMultiple(of: $0) }
    return widths.first { width in
      2 * all.filter { isAligned($0, to: width, along: loop.variable) }.count >= all.count
    } ?? 1
  }
}

/// Whether `width` neighbouring elements from the access's first one on start at a multiple of as many.
private func isAligned(_ access: ThreadMapping.LanePack.Access, to width: Int, along lane: LoopVariable) -> Bool {
  access.position.replacing(loop: { $0 == lane ? Position(0) : Position($0) }).isMultiple(of: width)
}

/// The vector loops of a stage, with their places.
func vectorLoops(in body: [Statement], at path: ThreadMapping.Path) -> [(path: ThreadMapping.Path, loop: Loop)] {
  body.enumerated().flatMap { number, statement -> [(path: ThreadMapping.Path, loop: Loop)] in
    let here = path + [number]
    switch statement {
    case .loop(let loop):
      if case .vector = loop.kind { return [(here, loop)] }
      return vectorLoops(in: loop.body, at: here)
    case .conditional(_, let body): return vectorLoops(in: body, at: here)
    case .define, .accumulator, .accumulate, .store, .product: return []
    }
  }
}

/// What every lane of a vector loop touches one element after the other, whatever conditions hold.
struct LaneAccesses {
  private(set) var loads: [ThreadMapping.LanePack.Access] = []
  private(set) var stores: [ThreadMapping.LanePack.Access] = []
  private(set) var hasLoops = false
  /// Buffers that are also touched in another way, stored to twice at one place, or read after they were stored to.
  private var irregular: Set<BufferID> = []
  /// What a lane computes for itself, so that nothing can be read from there in advance.
  private var own: Set<Variable> = []

  init(_ loop: Loop) {
    for case .define(let variable, _) in loop.body { own.insert(variable) }
    for case .accumulator(let variable, _) in loop.body { own.insert(variable) }
    for statement in loop.body {
      switch statement {
      case .define(_, let scalar), .accumulate(_, _, let scalar): visit(scalar, loop.variable)
      case .accumulator, .product: break
      case .store(let buffer, let position, let scalar):
        visit(scalar, loop.variable)
        // Planes side by side, as those of streams, are apart in all lanes.
        let meets = stores.contains { other in
          let distance = (other.position - position).asConstant ?? 0
          return other.buffer == buffer && abs(distance) < loop.variable.extent
        }
        if meets || !isEven(position, along: loop.variable) { irregular.insert(buffer) }
        stores.append(.init(buffer, at: position))
      case .conditional(_, let body):
        let inner = StageShape(body)
        irregular.formUnion(inner.used)
        hasLoops = hasLoops || body.contains { if case .loop = $0 { true } else { false } }
      case .loop: hasLoops = true
      }
    }
    loads.removeAll { irregular.contains($0.buffer) }
    stores.removeAll { irregular.contains($0.buffer) }
  }

  private mutating func visit(_ scalar: Scalar, _ lane: LoopVariable) {
    if case .load(let buffer, _, let position, let condition) = scalar {
      let access = ThreadMapping.LanePack.Access(buffer, at: position)
      if stores.contains(where: { $0.buffer == buffer }) { irregular.insert(buffer) }
      if condition == nil, isEven(position, along: lane), !loads.contains(access) { loads.append(access) }
    }
    scalar.forEachPart { visit($0, lane) }
  }

  private func isEven(_ position: Position, along lane: LoopVariable) -> Bool {
    position.step(along: lane) == 1 && own.isDisjoint(with: position.variables)
  }
}

/// How the vector loops of a stage are done by its teams, once the locals have their places.
func lanePacks(
  in stage: Loop, of kernel: Kernel, _ widths: LaneWidths, as mapping: ThreadMapping.Stage
) -> [ThreadMapping.Path: ThreadMapping.LanePack] {
  var packs: [ThreadMapping.Path: ThreadMapping.LanePack] = [:]
  for (path, loop) in vectorLoops(in: stage.body, at: []) {
    let width = widths[loop.variable.extent]
    var pack = ThreadMapping.LanePack(width: width, turns: turns(of: loop, kernel, mapping))
    if width > 1, loop.limit == nil {
      let touched = LaneAccesses(loop)
      func isPacked(_ access: ThreadMapping.LanePack.Access) -> Bool {
        guard isAligned(access, to: width, along: loop.variable) else { return false }
        return mapping.places[access.buffer]?.isOfThread != true
      }
      pack.loads = touched.loads.filter(isPacked)
      pack.stores = touched.stores.filter(isPacked)
    }
    if pack.width > 1 || pack.turns != nil { packs[path] = pack }
  }
  return packs
}

/// The turns of a loop that touches locals in registers; `nil` for others.
private func turns(of loop: Loop, _ kernel: Kernel, _ mapping: ThreadMapping.Stage) -> Int? {
  for buffer in StageShape(loop.body).used {
    if case .registers(_, let turns, _)? = mapping.places[buffer] { return turns }
  }
  return nil
}

/// A local that can be dealt out to the registers of a team: each lane of vector loops of one extent touches elements of
/// its own, at places that are known.
///
///     vector j < 512 { t[j] = … }   vector j < 512 { … = t[j] … }
struct LaneLocal {
  /// The extent of the loops, and where in the local the elements of lane 0 stand.
  let extent: Int
  private(set) var planes: [Int]

  init?(_ local: BufferID, in stage: Loop) {
    var positions: Set<Position> = []
    var extent: Int?
    let loops = vectorLoops(in: stage.body, at: [])
    for (_, loop) in loops {
      let touched = LaneLocal.positions(of: local, in: loop.body)
      guard !touched.isEmpty else { continue }
      guard extent == nil || extent == loop.variable.extent else { return nil }
      extent = loop.variable.extent
      for position in touched {
        guard position.step(along: loop.variable) == 1 else { return nil }
        positions.insert(position + Position(loop.variable) * -1)
      }
    }
    guard let extent, LaneLocal.positions(of: local, in: LaneLocal.outsideLanes(stage.body)).isEmpty else { return nil }
    guard !StageShape(stage.body).products.contains(where: { _, product in
      [product.a.buffer, product.b.buffer, product.c.buffer].contains(local)
    }) else { return nil }
    planes = []
    for position in positions {
      guard let constant = position.asConstant else { return nil }
      planes.append(constant)
    }
    planes.sort()
    for (first, second) in zip(planes, planes.dropFirst()) where second - first < extent { return nil }
    self.extent = extent
  }

  /// Where statements touch a buffer.
  private static func positions(of buffer: BufferID, in body: [Statement]) -> [Position] {
    body.flatMap { statement -> [Position] in
      switch statement {
      case .define(_, let scalar), .accumulate(_, _, let scalar): return positions(of: buffer, in: scalar)
      case .accumulator, .product: return []
      case .store(let other, let position, let scalar):
        return (other == buffer ? [position] : []) + positions(of: buffer, in: scalar)
      case .loop(let loop): return positions(of: buffer, in: loop.body)
      case .conditional(let condition, let body):
        return positions(of: buffer, in: condition) + positions(of: buffer, in: body)
      }
    }
  }

  private static func positions(of buffer: BufferID, in scalar: Scalar) -> [Position] {
    var found: [Position] = []
    if case .load(let other, _, let position, _) = scalar, other == buffer { found.append(position) }
    scalar.forEachPart { found += positions(of: buffer, in: $0) }
    return found
  }

  /// The statements without their vector loops.
  private static func outsideLanes(_ body: [Statement]) -> [Statement] {
    body.compactMap { statement -> Statement? in
      switch statement {
      case .loop(var loop):
        if case .vector = loop.kind { return nil }
        loop.body = outsideLanes(loop.body)
        return .loop(loop)
      case .conditional(let condition, let body): return .conditional(condition, outsideLanes(body))
      case .define, .accumulator, .accumulate, .store, .product: return statement
      }
    }
  }
}
