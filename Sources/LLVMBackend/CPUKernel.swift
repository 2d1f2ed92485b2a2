#if LLVM
import CRuntime
import IR
import Runtime

/// A kernel as machine code.
public final class CPUKernel: Sendable {
  public let name: String
  /// Buffers the caller gives: inputs, outputs and workspace, in the kernel's order.
  public let bufferCount: Int
  /// Memory each thread needs for local buffers; a pool that runs the kernel reserves it once.
  public let scratchBytes: Int

  struct Stage: Sendable {
    let function: MillraceStage
    /// Iterations of the parallel loop.
    let count: Int
    /// Into how many pieces the loop is worth splitting, at most.
    let pieces: Int
  }
  let stages: [Stage]
  /// Keeps the code in memory.
  private let code: LinkedCode

  init(name: String, bufferCount: Int, scratchBytes: Int, stages: [Stage], code: LinkedCode) {
    self.name = name
    self.bufferCount = bufferCount
    self.scratchBytes = scratchBytes
    self.stages = stages
    self.code = code
  }

  /// Runs the kernel on `buffers`; locals are not among them.
  public func run(_ buffers: [UnsafeMutableRawPointer], on pool: ThreadPool) throws(Violation) {
    try require(buffers.count == bufferCount, "\(name) takes \(bufferCount) buffers, got \(buffers.count)")
    try pool.reserveScratch(scratchBytes)
    let table = buffers.map(Optional.init)
    table.withUnsafeBufferPointer { table in
      if let base = table.baseAddress { run(base, on: pool) }
    }
  }

  /// Runs the kernel on a table of `bufferCount` pointers. Allocates nothing; `pool` has reserved `scratchBytes` before.
  public func run(_ table: UnsafePointer<UnsafeMutableRawPointer?>, on pool: ThreadPool) {
    for stage in stages {
      millrace_pool_run_stage(pool.handle, Int64(stage.count), Int64(stage.pieces), stage.function, table)
    }
  }
}
#endif
