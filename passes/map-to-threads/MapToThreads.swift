import IR

/// What `mapToThreads` may use of a GPU.
public struct ThreadLimits: Hashable, Sendable {
  /// Threads of a block that has long vector loops: whole warps.
  public var threads = 256
  /// Threads of a block whose iterations are done by single threads or pieces of a warp.
  public var smallTeams = 128
  /// Iterations from which a stage fills the device with a warp for each; with fewer, a block does each.
  public var manyIterations = 4096
  /// Bytes of shared memory a block may take, and one that multiplies matrices.
  public var sharedBytes = 224 << 10
  public var sharedBytesOfProducts = 160 << 10
  /// Registers of a thread for the elements that its lanes have in locals.
  public var registers = 64
  /// Largest local that every thread keeps a copy of.
  public var threadLocalBytes = 512
  /// Bytes of global memory for locals too large for shared memory.
  public var scratchBytes = 64 << 20
  /// Most registers of a thread.
  public var registersOfThread = 255
  /// What a multiprocessor has of registers, threads and bytes of shared memory: sm_90's.
  public var registersOfMultiprocessor = 64 << 10
  public var threadsOfMultiprocessor = 2048
  public var sharedOfMultiprocessor = 228 << 10
  /// Threads of a multiprocessor that hide the time of memory; with fewer, blocks are made larger or keep less in registers.
  public var wantedThreads = 1024
  /// Multiprocessors of the GPU: with fewer tiles of a product than these, tiles are made smaller.
  public var multiprocessors = 132
  /// Multiplications and additions from which a stage of nothing but products is left to a library.
  public var libraryFlops = 1 << 17
  /// Most calls of the library for one stage.
  public var libraryCalls = 64
  /// Whether tensor cores multiply for four warps together, as those of sm_90 do.
  public var hasWarpgroups = true
  /// Whether products of f32 may round their factors to the 10 bits of tf32.
  public var allowsTF32 = false

  public init() {}

  /// What the driver keeps of the shared memory of each block.
  private static let sharedBytesOfDriver = 1 << 10

  /// Blocks that a multiprocessor has the shared memory for, if each takes so much.
  func blocks(sharing bytes: Int) -> Int { sharedOfMultiprocessor / (bytes + Self.sharedBytesOfDriver) }

  /// The most shared memory a block may take where so many are on a multiprocessor.
  func sharedBytes(ofBlocks blocks: Int) -> Int { min(sharedBytes, sharedOfMultiprocessor / blocks - Self.sharedBytesOfDriver) }
}

/// Says how the stages of a kernel are spread over threads.
///
///     parallel i < 4096 { serial j { … } }                       a thread for each i
///     parallel i < 4096 { vector j < 8 { … } }                   8 lanes of a warp for each i
///     parallel i < 4096 { vector j < 512 { … } vector … }        a block for each i, a thread for j, j + 256
///     parallel i < 4 { product 512 × 512 × 512 }                 a block for each tile of each product
///
/// An input may be the memory of an output that can update it in place (`plan-memory` gives state one place).
public func mapToThreads(_ kernel: Kernel, within limits: ThreadLimits = ThreadLimits()) throws(Violation) -> ThreadMapping {
  let overlaps = Overlaps(kernel)
  var stages: [ThreadMapping.Stage] = []
  for statement in kernel.body {
    guard case .loop(let loop) = statement, loop.kind == .parallel else {
      throw "a stage of kernel '\(kernel.name)' is not a parallel loop"
    }
    stages.append(try map(loop, of: kernel, overlaps, within: limits))
  }
  return ThreadMapping(stages: stages, overlapping: overlaps.buffers)
}

private func map(
  _ loop: Loop, of kernel: Kernel, _ overlaps: Overlaps, within limits: ThreadLimits
) throws(Violation) -> ThreadMapping.Stage {
  let shape = StageShape(loop.body)
  let locals = shape.locals(of: kernel)
  let combined = try combinations(in: loop.body)
  let vectorLoops = StageLanes(loop)
  let values = Occupancy.peak(of: loop.body)
  var widths = LaneWidths(vectorLoops, of: kernel)
  let lanes = shape.vectorExtents.map(widths.threads).max() ?? 0
  func spread(
    over team: Int, _ start: ThreadMapping.Stage, _ widths: LaneWidths, words: Int
  ) -> (stage: ThreadMapping.Stage, occupancy: Occupancy) {
    var stage = start
    stage.team = team
    if team <= 32 && stage.tiles.isEmpty {
      let teams = max(1, limits.smallTeams / team)
      stage.teamsPerBlock = min(teams, max(1, multipleOfWarp(loop.variable.extent * team) / team))
    }
    if team > 1 { stage.combinations = combined }
    place(locals, in: &stage, of: loop, vectorLoops, widths, words: words, within: limits)
    stage.packs = lanePacks(in: vectorLoops, widths, as: stage)
    let occupancy = Occupancy(of: stage, values: values, of: kernel, within: limits)
    (stage.registers, stage.residentBlocks) = (occupancy.registers, occupancy.blocks)
    return (stage, occupancy)
  }
  func completed(_ stage: ThreadMapping.Stage) throws(Violation) -> ThreadMapping.Stage {
    var stage = stage
    stage.unrolling = unrolling(in: loop.body, at: [], as: stage)
    if stage.team > 1 { stage.waits = waits(in: loop, of: kernel, overlaps, as: stage) }
    return stage
  }

  var start = ThreadMapping.Stage(team: 1, teamsPerBlock: 1, blocks: loop.variable.extent)
  if !shape.products.isEmpty {
    let shared = sharedProduct(in: loop, of: kernel)
    let iterations = shared.map { _ in loop.variable.extent }
    for (path, product) in shape.products {
      start.tiles[path] = productTile(for: product, in: kernel, iterations: iterations, within: limits)
    }
    if let shared, let tile = start.tiles[shared.path] {
      start.divided = shared.path
      start.onlyFirstTile = shared.stores
      start.blocks *= tile.count(of: shared.product)
      start.library = libraryProduct(of: loop, in: kernel, within: limits)
    }
    let threads = start.tiles.values.map(\.threads).max() ?? 1
    widths = LaneWidths(vectorLoops, of: kernel, team: threads)
    // Warps without a part of a tile would be idle most of the time.
    let isTensor = start.tiles.values.contains { $0.unit != .thread }
    let team = isTensor ? threads : max(threads, min(limits.threads, multipleOfWarp(lanes)))
    return try completed(spread(over: team, start, widths, words: limits.registers).stage)
  }
  let iterations = loop.variable.extent
  var best = spread(over: team(for: lanes, iterations: iterations, within: limits), start, widths, words: limits.registers)
  guard best.stage.team > 32 else { return try completed(best.stage) }
  // Teams of whole blocks may have more threads, keep less in registers, or touch fewer lanes at once, where registers or
  // shared memory would be short otherwise.
  let widest = widths.widest
  var width = widest
  while !suits(best, within: limits) {
    let most = multipleOfWarp(shape.vectorExtents.map(widths.threads).max() ?? 0)
    var team = min(limits.threads, most)
    while team <= min(1024, most) {
      for words in [limits.registers, limits.registers / 2, 0] {
        let other = spread(over: team, start, widths, words: words)
        // Fewer lanes at once are worth their accesses only where they leave no shortage of registers.
        let isWorthwhile = width == widest || other.occupancy.missing == 0
        if isWorthwhile && isBetter(other, than: best, within: limits) { best = other }
      }
      team *= 2
    }
    // Eight lanes are more than it takes to fill the accesses of what is not bf16; where there are few blocks, so are four.
    let isNarrow = width <= 4 && best.stage.blocks > limits.multiprocessors
    let isFine = isNarrow || 2 * best.stage.residentThreads >= limits.wantedThreads
    if best.occupancy.missing == 0 && isFine || width == 1 { break }
    width /= 2
    widths = LaneWidths(vectorLoops, of: kernel, atMost: width)
  }
  let ahead = copyingAhead(best.stage, of: loop, in: kernel, within: limits)
  return try sharingScalars(completed(ahead), of: loop, in: kernel, within: limits)
}

private typealias Spread = (stage: ThreadMapping.Stage, occupancy: Occupancy)

/// Whether nothing is short: neither registers nor shared memory, nor threads that hide the time of memory.
private func suits(_ spread: Spread, within limits: ThreadLimits) -> Bool {
  spread.occupancy.missing == 0 && spread.stage.scratchBytes == 0 && spread.stage.residentThreads >= limits.wantedThreads
}

private func isBetter(_ new: Spread, than old: Spread, within limits: ThreadLimits) -> Bool {
  func merits(_ spread: Spread) -> [Int] {
    let hiding = min(spread.stage.residentThreads, limits.wantedThreads)
    return [-spread.stage.scratchBytes, -spread.occupancy.missing, hiding, -spread.stage.team]
  }
  return merits(old).lexicographicallyPrecedes(merits(new))
}

/// As many threads as the longest vector loop can feed, each with its lanes; with many iterations at most a warp, for then
/// no thread waits for another warp.
private func team(for lanes: Int, iterations: Int, within limits: ThreadLimits) -> Int {
  if lanes <= 1 { return 1 }
  if lanes <= 32 { return powerOfTwo(atLeast: lanes) }
  if lanes <= 256 && iterations >= limits.manyIterations { return 32 }
  return min(limits.threads, multipleOfWarp(lanes))
}

/// Gives each local its place: small ones that only scalar code writes to each thread, the others to shared memory as
/// long as there is room, the rest to global memory.
private func place(
  _ locals: [(id: BufferID, bytes: Int, isOfLanes: Bool)], in stage: inout ThreadMapping.Stage, of loop: Loop,
  _ lanes: StageLanes, _ widths: LaneWidths, words: Int, within limits: ThreadLimits
) {
  var shared: [(id: BufferID, bytes: Int)] = []
  var scratch: [(id: BufferID, bytes: Int)] = []
  var used = stage.combinationBytes
  // Products come one after the other, and use the same memory.
  used = multiple(of: stage.sharedAlignment, used)
  for path in stage.tiles.keys { stage.tiles[path]?.at = used }
  used += stage.tiles.values.map(\.bytes).max() ?? 0
  let isOfWarps = stage.tiles.values.contains { !$0.isOfWarpgroups }
  var room = (isOfWarps ? limits.sharedBytesOfProducts : limits.sharedBytes) - used
  var words = words
  for local in locals {
    let isOwn = stage.team == 1 || !local.isOfLanes
    let bytes = multiple(of: 16, local.bytes)
    if isOwn && local.bytes <= limits.threadLocalBytes * (stage.team == 1 ? 4 : 1) {
      stage.places[local.id] = .thread
    } else if let place = registers(for: local.id, in: lanes, widths, team: stage.team, room: &words) {
      stage.places[local.id] = place
    } else if stage.team > 1 && bytes <= room {
      shared.append((local.id, bytes))
      room -= bytes
    } else {
      scratch.append((local.id, bytes))
    }
  }
  let (sharedStride, scratchStride) = (shared.reduce(0) { $0 + $1.bytes }, scratch.reduce(0) { $0 + $1.bytes })
  if sharedStride > 0 { stage.teamsPerBlock = min(stage.teamsPerBlock, max(1, limits.sharedBytes / sharedStride)) }
  if stage.divided == nil {
    stage.blocks = (loop.variable.extent + stage.teamsPerBlock - 1) / stage.teamsPerBlock
  }
  if scratchStride > 0 {
    stage.blocks = min(stage.blocks, max(1, limits.scratchBytes / (scratchStride * stage.teamsPerBlock)))
    stage.scratchBytes = scratchStride * stage.teamsPerBlock * stage.blocks
  }
  for local in shared {
    stage.places[local.id] = .shared(at: used, stride: sharedStride)
    used += local.bytes
  }
  var at = 0
  for local in scratch {
    stage.places[local.id] = .scratch(at: at, stride: scratchStride)
    at += local.bytes
  }
  stage.sharedBytes = used + sharedStride * (stage.teamsPerBlock - 1)
}

/// Registers for a local, where each thread of a team touches the elements of its own lanes only and there are few.
private func registers(
  for local: BufferID, in lanes: StageLanes, _ widths: LaneWidths, team: Int, room: inout Int
) -> ThreadMapping.Place? {
  guard team > 1, let (extent, planes) = lanes.planes(of: local) else { return nil }
  let width = widths[extent]
  let turns = (extent + team * width - 1) / (team * width)
  let wanted = planes.count * turns * width
  guard turns <= 8, wanted <= room else { return nil }
  room -= wanted
  return .registers(planes: planes, turns: turns, width: width)
}

/// The next multiple of a number.
func multiple(of unit: Int, _ count: Int) -> Int { (count + unit - 1) / unit * unit }
private func multipleOfWarp(_ threads: Int) -> Int { multiple(of: 32, threads) }
