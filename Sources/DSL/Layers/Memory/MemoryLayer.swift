import IR

/// A sparse memory: finds, for every position, a few rows of a large table and adds them up.
///
/// Memories of one model may share tables, so each stands under a name of its own, counted from the model's root,
/// wherever the layer is called.
public protocol MemoryLayer: Layer, Sendable {
  /// What stands before the names of its parameters: `memories.0`.
  var name: String { get }
}

extension MemoryLayer {
  public var scopeName: String? { nil }
}

/// What a memory adds to the loss; each that does records it in the trace.
public struct MemoryPenalty {
  public let value: Tensor

  /// What all memories of a model add; `nil` if none adds anything.
  public static func sum(in trace: Trace) -> Tensor? {
    let values = trace.records(of: MemoryPenalty.self).map(\.value)
    return values.first.map { first in values.dropFirst().reduce(first) { $0 + $1 } }
  }
}

/// The last parts of the names under which the use of a memory is observed.
public enum MemoryNames {
  /// Numbers of the rows that are read, of any shape.
  public static let reads = "reads"
  /// How many rows there are to read: an i64 scalar.
  public static let rows = "rows"
}

extension Trace {
  /// Points out which of so many rows a memory reads.
  func observeReads(_ ids: Tensor, of rows: Int) {
    observe(MemoryNames.reads, ids)
    observe(MemoryNames.rows, constant(Double(rows), .i64()))
  }

  /// Names the parameters that `body` uses after a memory, whatever scopes are around.
  func memory<R>(_ name: String, _ body: () -> R) -> R { unscoped { scope(name, body) } }
}

extension Tensor {
  /// Sums of this table's rows, with a weight for every slice of a row; with blocks, a sum for each block:
  ///
  ///     y[…, c, d] = Σₕₖ weights[…, h, k, c] · table[ids[…, h, k], c, d]
  ///     y[…, p, c, d] = Σₕₖ [blocks[…, h, k] = p] · weights[…, h, k, c] · table[ids[…, h, k], c, d]
  ///
  /// h counts heads and k their winners. The table is `[rows, width]`, a row cut into as many slices as `weights` has; ids outside of it add nothing.
  ///
  /// - Parameter blocks: the block of each id, below `count`.
  /// - Returns: `[…, width]`, or `[…, count · width]` with the blocks one after the other.
  func pooled(_ ids: Tensor, weights: Tensor, blocks: (numbers: Tensor, count: Int)? = nil) -> Tensor {
    let slices = Swift.max(1, weights.extent(-1))
    let rows = self.rows(ids).cast(to: weights.dtype).split(into: [slices, extent(-1) / slices])
    guard let blocks, blocks.count > 1 else {
      return weights.contract(rows, "...hkc,...hkcd->...cd").flattened(last: 2)
    }
    let isThere = blocks.numbers.insertingAxis(-1) .== trace.iota(.i64(blocks.count))
    let placed = isThere.insertingAxis(-1).select(weights.insertingAxis(-2), else: 0)
    return placed.contract(rows, "...hkpc,...hkcd->...pcd").flattened(last: 3)
  }
}
