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
  init(_ lanes: StageLanes, of kernel: Kernel, team: Int? = nil, atMost most: Int = .max) {
    let longest = lanes.loops.map(\.variable.extent).max() ?? 0
    for loop in lanes.loops {
      let extent = loop.variable.extent
      // Of a loop that is short beside the others no thread needs to do several lanes.
      if extent <= 64, 4 * extent <= longest { widths[extent] = 1 }
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
  private static func width(of loop: StageLanes.VectorLoop, in kernel: Kernel) -> Int? {
    let touched = loop.regular
    if touched.hasLoops { return 1 }
    let all = touched.loads + touched.stores
    guard let least = all.map({ kernel.buffers[$0.buffer.index].dtype.size }).min() else { return nil }
    let widths = [8, 4, 2].filter { $0 * least <= 16 && loop.variable.extent.isMultiple(of: $0) }
    return widths.first { width in
      2 * all.filter { comesAtOnce($0, width, along: loop.variable) }.count >= all.count
    } ?? 1
  }
}

/// Whether `width` neighbouring lanes touch as many neighbouring elements, from a multiple of as many on.
private func comesAtOnce(_ access: ThreadMapping.LanePack.Access, _ width: Int, along lane: LoopVariable) -> Bool {
  access.position.isContiguous(along: lane, by: width) && isAligned(access, to: width, along: lane)
}

/// Whether `width` neighbouring elements from the access's first one on start at a multiple of as many.
private func isAligned(_ access: ThreadMapping.LanePack.Access, to width: Int, along lane: LoopVariable) -> Bool {
  access.position.replacing(loop: { $0 == lane ? Position(0) : Position($0) }).isMultiple(of: width)
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
        if meets || !mayComeAtOnce(position, along: loop.variable) { irregular.insert(buffer) }
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
      if condition == nil, mayComeAtOnce(position, along: lane), !loads.contains(access) { loads.append(access) }
    }
    scalar.forEachPart { visit($0, lane) }
  }

  private func mayComeAtOnce(_ position: Position, along lane: LoopVariable) -> Bool {
    position.isContiguous(along: lane, by: 2) && own.isDisjoint(with: position.variables)
  }
}

/// How the vector loops of a stage are done by its teams, once the locals have their places.
func lanePacks(
  in lanes: StageLanes, _ widths: LaneWidths, as mapping: ThreadMapping.Stage
) -> [ThreadMapping.Path: ThreadMapping.LanePack] {
  var packs: [ThreadMapping.Path: ThreadMapping.LanePack] = [:]
  for loop in lanes.loops {
    let width = widths[loop.variable.extent]
    var pack = ThreadMapping.LanePack(width: width, turns: turns(of: loop, mapping))
    if width > 1, !loop.isLimited {
      let touched = loop.regular
      func isPacked(_ access: ThreadMapping.LanePack.Access) -> Bool {
        guard comesAtOnce(access, width, along: loop.variable) else { return false }
        return mapping.places[access.buffer]?.isOfThread != true
      }
      pack.loads = touched.loads.filter(isPacked)
      pack.stores = touched.stores.filter(isPacked)
    }
    if pack.width > 1 || pack.turns != nil { packs[loop.path] = pack }
  }
  return packs
}

/// The turns of a loop that touches locals in registers; `nil` for others.
private func turns(of loop: StageLanes.VectorLoop, _ mapping: ThreadMapping.Stage) -> Int? {
  for buffer in loop.positions.keys {
    if case .registers(_, let turns, _)? = mapping.places[buffer] { return turns }
  }
  return nil
}
