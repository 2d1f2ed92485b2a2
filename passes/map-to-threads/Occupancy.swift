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

  /// - Parameter values: the most values of the stage's body that live at once (`peak`).
  init(of stage: ThreadMapping.Stage, values: Int, of kernel: Kernel, within limits: ThreadLimits) {
    var values = values
    for place in stage.places.values {
      if case .registers(let planes, let turns, let width) = place { values += planes.count * turns * width }
    }
    for (id, place) in stage.places where place == .thread { values += (kernel.buffers[id.index].bytes + 3) / 4 }
    // A pack is in registers while its lanes are computed, and on average half of it is needed.
    values += stage.packs.values.map { pack in
      (pack.loads + pack.stores).reduce(0) { $0 + kernel.buffers[$1.buffer.index].dtype.size * pack.width } / 8
    }.max() ?? 0
    values += stage.tiles.values.map(Occupancy.registers).max() ?? 0
    let warps = stage.warps, perBlock = warps * 32
    // Each quarter of a multiprocessor has a quarter of the registers and of the warps.
    let ofQuarter = limits.registersOfMultiprocessor / 4 / 32
    let most = min(limits.registersOfThread, ofQuarter / ((warps + 3) / 4))
    let needed = Occupancy.registers(holding: 24 + values)
    missing = max(0, needed - most)
    registers = min(needed, most)
    let byRegisters = ofQuarter / registers * 4 / warps
    let byShared = limits.blocks(sharing: stage.sharedBytes)
    let enough = (limits.wantedThreads + perBlock - 1) / perBlock
    // No more than there are: where they are few, their threads must be many.
    let own = (stage.blocks + limits.multiprocessors - 1) / limits.multiprocessors
    blocks = max(1, min(limits.threadsOfMultiprocessor / perBlock, 32, byRegisters, byShared, enough, own))
    threads = blocks * stage.threads
  }

  /// Registers in which a compiler holds so many values: of many it computes some again, and orders the rest better than
  /// they are written. At these, NVRTC spills 3 to 58 of some 250 values of a row's gradient, which is little beside the
  /// thousands of operations of a row.
  private static func registers(holding values: Int) -> Int {
    values <= 128 ? values : 128 + (min(values, 256) - 128) / 3 + max(0, values - 256)
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
  static func peak(of body: [Statement]) -> Int {
    // From where to where each variable of the block lives; accumulators that nobody fed yet do not.
    var lives: [Variable: ClosedRange<Int>] = [:]
    var idle: Set<Variable> = []
    for (place, statement) in body.enumerated() {
      if case .accumulator(let variable, _) = statement { idle.insert(variable) }
      if case .define(let variable, _) = statement { lives[variable] = place...place }
      statement.forEachVariable {
        if let life = lives[$0] {
          lives[$0] = life.lowerBound...place
        } else if idle.remove($0) != nil {
          lives[$0] = place...place
        }
      }
    }
    var changes = [Int](repeating: 0, count: body.count + 1)
    for life in lives.values {
      changes[life.lowerBound] += 1
      changes[life.upperBound + 1] -= 1
    }
    var (live, peak) = (0, 0)
    for (place, statement) in body.enumerated() {
      live += changes[place]
      switch statement {
      case .loop(let loop): peak = max(peak, live + Occupancy.peak(of: loop.body))
      case .conditional(_, let inner): peak = max(peak, live + Occupancy.peak(of: inner))
      case .define, .accumulator, .accumulate, .store, .product: peak = max(peak, live)
      }
    }
    return peak
  }
}
