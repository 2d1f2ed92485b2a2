import IR

/// Lets what the next iteration of a block reads come to shared memory while the block does this one.
///
///     parallel i < 8192 { vector j < 4096 { t[j] = x[4096 * i + j] … }   … }
///
/// Where a row is wide, few blocks fit on a multiprocessor, and while they compute nothing is on its way. Then as many
/// blocks are started as fit, each does its rows in rounds, and as soon as a loop has read a row, it asks for its part of
/// the block's next one. Iterations are independent, so that it is there already. Each thread copies what it will read
/// itself: nobody waits for anybody.
///
/// - Returns: the stage as it was, unless there are rows for several rounds and room for a row of what a loop reads.
func copyingAhead(
  _ stage: ThreadMapping.Stage, of loop: Loop, in kernel: Kernel, within limits: ThreadLimits
) -> ThreadMapping.Stage {
  let blocks = stage.residentBlocks * limits.multiprocessors
  guard !stage.isPartOfWarp, stage.teamsPerBlock == 1, stage.tiles.isEmpty, loop.limit == nil,
    stage.residentThreads < limits.wantedThreads, stage.blocks == loop.variable.extent, 2 * blocks <= loop.variable.extent
  else { return stage }
  var ahead = stage
  // The first warp needs some for what it gives to others.
  let most = limits.sharedBytes(ofBlocks: stage.residentBlocks) - 1024
  for (number, statement) in loop.body.enumerated() {
    guard case .loop(let lanes) = statement, let pack = stage.packs[[number]], lanes.limit == nil else { continue }
    for access in pack.loads where isKnownAhead(access, in: loop, of: kernel) {
      let buffer = kernel.buffers[access.buffer.index]
      let (start, bytes) = (multiple(of: 16, ahead.sharedBytes), lanes.variable.extent * buffer.dtype.size)
      guard pack.width * buffer.dtype.size >= 4, start + bytes <= most else { continue }
      ahead.packs[[number]]?.ahead[access] = start
      ahead.sharedBytes = start + bytes
    }
  }
  guard ahead.sharedBytes > stage.sharedBytes else { return stage }
  ahead.blocks = blocks
  return ahead
}

/// Whether an access reads another place of an input in every iteration, which follows from the counters alone.
private func isKnownAhead(_ access: ThreadMapping.LanePack.Access, in loop: Loop, of kernel: Kernel) -> Bool {
  kernel.buffers[access.buffer.index].role == .input && access.position.depends(on: loop.variable)
    && access.position.variables.isEmpty
}
