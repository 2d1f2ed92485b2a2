import IR

/// What `mapToThreads` may use of a GPU.
public struct ThreadLimits: Hashable, Sendable {
  /// Threads of a block that has long vector loops.
  public var threads = 256
  /// Threads of a block whose iterations are done by single threads or pieces of a warp.
  public var smallTeams = 128
  /// Iterations from which a stage fills the device with a warp for each; with fewer, a block does each.
  public var manyIterations = 4096
  /// Bytes of shared memory a block may take.
  public var sharedBytes = 96 << 10
  /// Largest local that every thread keeps a copy of.
  public var threadLocalBytes = 512
  /// Bytes of global memory for locals too large for shared memory.
  public var scratchBytes = 64 << 20

  public init() {}
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
  var stage = ThreadMapping.Stage(team: 1, teamsPerBlock: 1, blocks: loop.variable.extent)
  if let product = shape.products.first {
    let tile = productTile(for: product)
    stage.tile = tile
    stage.team = max(tile.threads, min(limits.threads, multipleOfWarp(shape.longestVector)))
    if loop.body == [.product(product)] {
      stage.dividesProduct = true
      stage.blocks *= tile.count(of: product)
    }
  } else {
    stage.team = team(for: shape, iterations: loop.variable.extent, within: limits)
    if stage.team <= 32 {
      let teams = max(1, limits.smallTeams / stage.team)
      stage.teamsPerBlock = min(teams, max(1, multipleOfWarp(loop.variable.extent * stage.team) / stage.team))
    }
  }
  if stage.team > 1 { stage.combinations = try combinations(in: loop.body) }
  place(shape.locals(of: kernel), in: &stage, of: loop, within: limits)
  if stage.team > 1 { stage.waits = waits(in: loop, of: kernel, overlaps, as: stage) }
  return stage
}

/// As many threads as the longest vector loop can feed; with many iterations at most a warp, for then no thread waits
/// for another warp.
private func team(for shape: StageShape, iterations: Int, within limits: ThreadLimits) -> Int {
  let lanes = shape.longestVector
  if lanes <= 1 { return 1 }
  if lanes <= 32 { return powerOfTwo(atLeast: lanes) }
  if lanes <= 256 && iterations >= limits.manyIterations { return 32 }
  return min(limits.threads, multipleOfWarp(lanes))
}

/// 64 × 64 results a block, 4 × 4 a thread, halved along an axis as long as the product has less.
private func productTile(for product: Product) -> ThreadMapping.ProductTile {
  var tile = ThreadMapping.ProductTile(rows: 64, columns: 64, depth: 16, threadRows: 4, threadColumns: 4)
  while tile.rows > 4 && tile.rows / 2 >= product.m { tile.rows /= 2 }
  while tile.columns > 8 && tile.columns / 2 >= product.n { tile.columns /= 2 }
  // A few rows leave a block with few threads: then each thread has less.
  if tile.threads < 64 { tile.threadRows = 1 }
  if tile.threads < 64 { tile.threadColumns = 1 }
  return tile
}

/// Gives each local its place: small ones that only scalar code writes to each thread, the others to shared memory as
/// long as there is room, the rest to global memory.
private func place(
  _ locals: [(id: BufferID, bytes: Int, hasLaneStores: Bool)], in stage: inout ThreadMapping.Stage, of loop: Loop,
  within limits: ThreadLimits
) {
  var shared: [(id: BufferID, bytes: Int)] = []
  var scratch: [(id: BufferID, bytes: Int)] = []
  var used = stage.combinationBytes
  if stage.tile != nil {
    stage.tile?.at = used
    used += stage.tile?.bytes ?? 0
  }
  var room = limits.sharedBytes - used
  for local in locals {
    let isOwn = stage.team == 1 || !local.hasLaneStores
    let bytes = (local.bytes + 15) / 16 * 16
    if isOwn && local.bytes <= limits.threadLocalBytes * (stage.team == 1 ? 4 : 1) {
      stage.places[local.id] = .thread
    } else if stage.team > 1 && bytes <= room {
      shared.append((local.id, bytes))
      room -= bytes
    } else {
      scratch.append((local.id, bytes))
    }
  }
  let (sharedStride, scratchStride) = (shared.reduce(0) { $0 + $1.bytes }, scratch.reduce(0) { $0 + $1.bytes })
  if sharedStride > 0 { stage.teamsPerBlock = min(stage.teamsPerBlock, max(1, limits.sharedBytes / sharedStride)) }
  if !stage.dividesProduct {
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

private func multipleOfWarp(_ threads: Int) -> Int { (threads + 31) / 32 * 32 }

private func powerOfTwo(atLeast count: Int) -> Int {
  var power = 1
  while power < count { power *= 2 }
  return power
}
