import IR

/// Orders the pairs of a row-sparse tensor by row number and sums those of one number, in the order they had.
///
///     ids = [4, 1, 4], values = [a, b, c]   ->   ids = [1, 4, −1], values = [b, a + c, 0]
///
/// Slots that become free get the number −1 and zeros, at the end; pairs with negative numbers vanish into them. Takes a
/// row-sparse tensor, or its ids and values, which is the form that has a kernel.
public struct MergeRows: TensorOp {
  public var name: String { "merge_rows" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    if operands.count != 2 {
      _ = try expectRows(operands)
      return operands
    }
    try expect(operands, "ids", "values")
    let (ids, values) = (operands[0], operands[1])
    try expectRowPairs(ids, values)
    try require(ids.dtype == .i64 && values.rank == 2 && values.dtype.isFloat, "wants i64 ids and a matrix of floats, got \(ids) and \(values)")
    return operands
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let isSplit = operands.count == 2
    let values = operands[operands.count - 1].doubles
    let ids = isSplit ? operands[0].integers : operands[0].ids
    let width = operands[operands.count - 1].type.shape[1]
    var sums: [Int64: [Double]] = [:]
    for (k, id) in ids.enumerated() where id >= 0 {
      let row = values[(k * width)..<((k + 1) * width)]
      sums[id] = sums[id].map { zip($0, row).map { $0 + $1 } } ?? Array(row)
    }
    let order = sums.keys.sorted()
    let free = ids.count - order.count
    let newIDs = order + [Int64](repeating: -1, count: free)
    let newValues = order.flatMap { sums[$0] ?? [] } + [Double](repeating: 0, count: free * width)
    return isSplit
      ? [Literal(operands[0].type, integers: newIDs), Literal(operands[1].type, floats: newValues)]
      : [Literal(operands[0].type, ids: newIDs, values: newValues)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    if g.operands.count == 1 { return [try g.floatUpstream()] }
    if g.upstream.allSatisfy({ $0 == nil }) { return g.none }
    throw Diagnostic("'merge_rows' of ids and values has no gradient", at: g.builder.location)
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    guard operands.count == 2 else { return .none }
    return .kernel { kernel(operands[0], operands[1]) }
  }

  /// Sorts the ids, finds where each number begins, then sums every number's rows on its own.
  private func kernel(_ ids: TensorType, _ values: TensorType) -> Kernel {
    let k = KernelBuilder()
    let (count, width) = (ids.count, values.shape[1])
    let (i, v) = (k.input("ids", ids), k.input("values", values))
    let (newIDs, y) = (k.output("merged_ids", ids), k.output("merged_values", values))
    let sorted = k.buffer("sorted", .i64, count, .workspace)
    let order = k.buffer("order", .i64, count, .workspace)
    let starts = k.buffer("starts", .i64, count + 1, .workspace)
    let found = k.buffer("found", .i64, 1, .workspace)
    // Without their sign bit negative numbers are larger than all others, and go to the end.
    MergeSort(lines: 1, extent: count, dtype: .i64) {
      let flip = Scalar.integer(.min, .i64)
      return .compare(.less, .binary(.xor, $0, flip), .binary(.xor, $1, flip))
    }.emit(i, into: sorted, order, k)

    k.stage(below: 1) { _ in
      let scan = k.loop(below: count) { place in
        let (define, id) = k.define(k.load(sorted, place))
        let inside = Scalar.compare(.greater, .position(place), .int(0))
        let before = k.load(sorted, place + -1, where: inside)
        // At the first place there is no number before, and 0 is read instead of it.
        let differs = Scalar.compare(.notEqual, before, .variable(id))
        let begins = Scalar.binary(.or, differs, .compare(.equal, .position(place), .int(0)))
        let isRow = Scalar.compare(.greaterOrEqual, .variable(id), .int(0))
        let (defineSlot, slot) = k.define(k.load(found, Position(0)))
        let next = Scalar.binary(.add, .variable(slot), .int(1))
        let note: [Statement] = [
          defineSlot, .store(starts, Position(slot), .position(place)), .store(found, Position(0), next),
        ]
        // Where the next number would begin: the end of this one.
        let (defineEnd, end) = k.define(k.load(found, Position(0)))
        let close = Statement.store(starts, Position(end), .position(place + 1))
        return [
          define,
          .conditional(isRow, [.conditional(begins, note), defineEnd, close]),
        ]
      }
      return [.store(found, Position(0), .int(0)), scan]
    }

    let sums = RunningSums(k, values.dtype, count: width, into: y)
    k.stage(below: count) { slot in
      let first = slot * width
      let isUsed = Scalar.compare(.less, .position(slot), k.load(found, Position(0)))
      let (defineUsed, used) = k.define(isUsed)
      let (defineStart, start) = k.define(k.load(starts, slot, where: .variable(used)))
      let (defineEnd, end) = k.define(k.load(starts, slot + 1, where: .variable(used)))
      let id = k.load(sorted, Position(start), where: .variable(used))
      let add = k.loop(below: count, limit: Position(end) - Position(start)) { step in
        let (define, row) = k.define(k.load(order, Position(start) + step))
        return [define, k.lanes(below: width) { column in
          [sums.add(k.load(v, Position(row) * width + column), at: column, first)]
        }]
      }
      return [
        defineUsed, defineStart, defineEnd, .store(newIDs, slot, .select(.variable(used), id, .int(-1))),
        sums.clear(first), add,
      ] + sums.finish(first)
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = rowSamples.map { Sample(Self(), $0) } + [
    Sample(Self(), .i64(9), .f32(9, 3)), Sample(Self(), .i64(1), .f32(1, 2)), Sample(Self(), .i64(0), .f32(0, 2)),
    Sample(Self(), .i64(33), .f32(33, 1), integersBelow: 20), Sample(Self(), .i64(6), TensorType(.bf16, [6, 5])),
    Sample(Self(), .i64(6), .f32(6, 40)), Sample(Self(), .i64(5), .f32(5, 0)),
  ]
}
