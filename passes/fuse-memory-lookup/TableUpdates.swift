import IR
import Ops
import Rewriting

extension Pattern {
  /// Rows whose numbers come from merging are written each by itself.
  ///
  ///     %ids, %rows = merge_rows %i, %v
  ///     %1 = scatter_rows %table, %ids, %new  ->  %1 = scatter_rows %table, %ids, %new {isDistinct = true}
  static let distinctRows = Pattern("distinct-rows", on: ScatterRows.self) { scatter, rewriter throws(NoMatch) in
    try rewriter.require(!scatter.op.isDistinct, "is known to be distinct")
    try rewriter.require(rewriter.isDistinct(scatter[1]), "its row numbers may repeat")
    return try rewriter.emit(ScatterRows(isDistinct: true), scatter.operands)[0]
  }

  /// Rows to be merged are read where they stand among the columns of a wider matrix.
  ///
  ///     %0 = slice %d {columns 64 ..< 128}
  ///     %ids, %rows = merge_rows %i, %0  ->  %ids, %rows = merge_rows %i, %d {start = 64, columns = 64}
  static let mergedColumns = Pattern("merged-columns", onAllResultsOf: MergeRows.self) { merge, rewriter throws(NoMatch) in
    try rewriter.require(merge.operands.count == 2, "is not taken apart yet")
    let values = rewriter.throughReshapes(merge[1])
    let slice = try rewriter.definition(of: values, as: Slice.self)
    let (whole, part) = (rewriter.type(of: slice[0]), rewriter.type(of: values))
    let outer = whole.shape.dropLast()
    try rewriter.require(whole.rank > 0 && outer == part.shape.dropLast() && slice.op.strides == nil, "is no slice of columns")
    try rewriter.require(part.shape[part.rank - 1] == rewriter.type(of: merge[1]).shape[1], "its columns are joined otherwise")
    let wide = whole.shape[whole.rank - 1]
    var matrix = rewriter.throughReshapes(slice[0])
    let shape = [outer.reduce(1, *), wide]
    if rewriter.type(of: matrix).shape != shape { matrix = try rewriter.emit(Reshape(shape: shape), matrix) }
    let first = slice.op.starts[whole.rank - 1] + merge.op.firstColumn
    let columns = merge.op.columns ?? part.shape[part.rank - 1] - merge.op.firstColumn
    return try rewriter.emit(MergeRows(rows: merge.op.rows, start: first, columns: columns), [merge[0], matrix])
  }

  /// A gradient of a whole table, which few rows reach, is looked up by row instead of written out.
  ///
  ///     %g = scatter_add %i, %v {rows = V}
  /// ->
  ///     %ids, %rows = merge_rows %i, %v {rows = V}
  ///     %place = scatter_rows %nowhere, %ids, %iota {isDistinct = true}      : i64[V]
  ///     %g = gather %rows, %place
  ///
  /// The lookup fuses with what reads the gradient, so that only a number for each row of the table is written.
  static let denseFromMerged = Pattern("dense-from-merged", on: ScatterAdd.self) { add, rewriter throws(NoMatch) in
    let (ids, values) = (rewriter.type(of: add[0]), rewriter.type(of: add[1]))
    try rewriter.require(values.rank == 2 && values.dtype.isFloat && ids.dtype == .i64, "adds no rows of floats")
    let rows = add.op.rows
    let spared = 2 * rewriter.type(of: add.results[0]).bytes
    let added = 3 * values.bytes + 3 * rows * DType.i64.size
    try rewriter.require(spared >= added + leastSpared, "the table is too small to be spared")
    let merged = try rewriter.emit(MergeRows(rows: rows), add.operands)
    let nowhere = try rewriter.emit(Constant(integer: -1, .i64(rows)))
    let counting = try rewriter.emit(Iota(axis: 0, type: .i64(ids.count)))
    let place = try rewriter.emit(ScatterRows(isDistinct: true), nowhere, merged[0], counting)
    return try rewriter.emit(Gather(), merged[1], place)
  }

  /// Bytes that must be spared for the kernels it takes.
  private static let leastSpared = 1 << 20
}

extension Rewriter {
  /// Whether no number of a row stands twice in a value, negative ones aside.
  fileprivate func isDistinct(_ ids: Value) -> Bool {
    let ids = throughReshapes(ids)
    if let merge = find(ids, as: MergeRows.self), merge.operands.count == 2 { return merge.results[0] == ids }
    if find(ids, as: Iota.self) != nil { return type(of: ids).rank == 1 }
    guard let select = find(ids, as: Select.self) else { return false }
    let (yes, no) = (select[1], select[2])
    return isNegative(no) && isDistinct(yes) || isNegative(yes) && isDistinct(no)
  }

  private func isNegative(_ value: Value) -> Bool {
    if let broadcast = find(value, as: Broadcast.self) { return isNegative(broadcast[0]) }
    return find(value, as: Constant.self).map { $0.op.type.dtype.isInteger && $0.op.integer < 0 } ?? false
  }

  /// What a value is another shape of.
  func throughReshapes(_ value: Value) -> Value {
    var value = value
    while let reshape = find(value, as: Reshape.self) { value = reshape[0] }
    return value
  }
}
