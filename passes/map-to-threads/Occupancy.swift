import IR

/// How much of a multiprocessor the blocks of a stage can fill at once, by an estimate of what a block needs.
struct Occupancy {
  /// Registers of a thread: those of its values, and some for addresses and counters.
  let registers: Int
  /// Of these, how many more than a thread can have.
  let missing: Int
  /// Blocks that are resident at once, no more than hide the time of memory.
  let blocks: Int
  let threads: Int

  init(of stage: ThreadMapping.Stage, body: [Statement], of kernel: Kernel, within limits: ThreadLimits) {
    var values = Occupancy.peak(of: body)
    for place in stage.places.values {
      if case .registers(let planes, let turns, let width) = place { values += planes.count * turns * width }
    }
    for (id, place) in stage.places where place == .thread { values += (kernel.buffers[id.index].bytes + 3) / 4 }
    // A pack is in registers while its lanes are computed, and on average half of it is needed.
    values += stage.packs.values.map { pack in
      (pack.loads + pack.stores).reduce(0) { $0 + kernel.buffers[$1.buffer.index].dtype.size * pack.width } / 8
    }.max() ?? 0
    values += stage.tiles.values.map(Occupancy.registers).max() ?? 0
    let perBlock = (stage.threads + 31) / 32 * 32
    let most = min(limits.registersOfThread, limits.registersOfMultiprocessor / perBlock)
    missing = max(0, 24 + values - most)
    registers = min(24 + values, most)
    let byRegisters = limits.registersOfMultiprocessor / (registers * perBlock)
    // The driver keeps 1 KiB of each block's shared memory for itself.
    let byShared = limits.sharedOfMultiprocessor / (stage.sharedBytes + 1024)
    let enough = (limits.wantedThreads + perBlock - 1) / perBlock
    blocks = max(1, min(limits.threadsOfMultiprocessor / perBlock, 32, byRegisters, byShared, enough))
    threads = blocks * stage.threads
  }

  /// Results and factors that a thread holds.
  private static func registers(of tile: ThreadMapping.ProductTile) -> Int {
    // Four warps read both operands from shared memory.
    if tile.isOfWarpgroups { return tile.unitRows * tile.unitColumns / 128 + 24 }
    switch tile.unit {
    case .thread: return tile.unitRows * tile.unitColumns + tile.unitRows + tile.unitColumns
    // Fragments of both operands, and where the copies of the next pieces come from.
    case .bf16, .f16, .tf32:
      return tile.unitRows * tile.unitColumns / 32 + tile.unitRows / 16 * 4 + tile.unitColumns / 8 * 2 + 8
    }
  }

  /// The most values that live at once in a block and those inside it: each from its definition, accumulators from what
  /// first feeds them, until its last use.
  private static func peak(of body: [Statement]) -> Int {
    var lastUse: [Variable: Int] = [:]
    var fed: [Int: [Variable]] = [:]
    var idle: Set<Variable> = []
    for (place, statement) in body.enumerated() {
      if case .accumulator(let variable, _) = statement { idle.insert(variable) }
      statement.forEachVariable {
        lastUse[$0] = place
        if idle.remove($0) != nil { fed[place, default: []].append($0) }
      }
    }
    var (live, peak) = (Set<Variable>(), 0)
    for (place, statement) in body.enumerated() {
      live.formUnion(fed[place] ?? [])
      switch statement {
      case .define(let variable, _): live.insert(variable)
      case .loop(let loop): peak = max(peak, live.count + Occupancy.peak(of: loop.body))
      case .conditional(_, let inner): peak = max(peak, live.count + Occupancy.peak(of: inner))
      case .accumulator, .accumulate, .store, .product: break
      }
      peak = max(peak, live.count)
      live = live.filter { (lastUse[$0] ?? -1) > place }
    }
    return peak
  }
}
