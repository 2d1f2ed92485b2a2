import IR
import Ops

extension Tensor {
  /// The rows of this table that `ids` name; ids outside the table name rows of zeros.
  public func rows(
    _ ids: Tensor, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) { trace.emit(Gather(), self, ids) }
  }

  /// Picks elements of the last axis: `ids` has this tensor's leading axes.
  public func elements(
    _ ids: Tensor, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) { trace.emit(GatherElements(), self, ids) }
  }

  /// The `count` largest along the last axis, largest first, and where they stand; equal values: lower index first.
  public func top(
    _ count: Int, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> (values: Tensor, indices: Tensor) {
    let results = trace.at(file, line, column) { trace.emit(TopK(count), [self], results: 2) }
    return (results[0], results[1])
  }

  /// Which are the `count` largest of every line along the last axis, as truth values; equal values: lower index first.
  public func largest(
    _ count: Int, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) { trace.emit(TopMask(count), self) }
  }

  /// Where this list of truth values holds, ascending; −1 after the last place, up to `limit` of them.
  public func places(
    limit: Int, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) { trace.emit(Nonzero(limit: limit), self) }
  }

  /// Adds up the rows that have the same number below `count`; others are left out.
  public func rowSums(
    by ids: Tensor, count: Int, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) { trace.emit(ScatterAdd(rows: count), ids, self) }
  }

  /// Where the largest element of an axis stands; of equal ones the first.
  public func argMax(axis: Int = -1) -> Tensor {
    guard let axis = position(ofAxis: axis) else { return poisoned }
    return trace.emit(ArgMax(axis: axis), self)
  }

  /// Sums over all elements before each, and with it unless `exclusive`.
  public func cumulativeSum(axis: Int, exclusive: Bool = false) -> Tensor {
    guard let axis = position(ofAxis: axis) else { return poisoned }
    return trace.emit(CumulativeSum(axis: axis, exclusive: exclusive), self)
  }
}
