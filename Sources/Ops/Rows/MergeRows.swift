import IR

/// Orders the pairs of a row-sparse tensor by row number and sums those of one number, in the order they had.
///
///     ids = [4, 1, 4], values = [a, b, c]   ->   ids = [1, 4, −1], values = [b, a + c, 0]
///
/// Slots that become free get the number −1 and zeros, at the end; pairs with numbers outside of the table vanish into them.
/// Takes a row-sparse tensor, or its ids and values, which is the form that has a kernel.
public struct MergeRows: TensorOp {
  public var name: String { "merge_rows" }
  /// Of ids and values: how many rows the table has, if that is known. Numbers at it and above vanish too, and less is
  /// sorted for it.
  public let rows: Int?
  /// Of ids and values: the columns that are taken of the values, `columns` from `start` on; all if `nil`.
  public let start: Int?
  public let columns: Int?

  public init(rows: Int? = nil, start: Int? = nil, columns: Int? = nil) {
    self.rows = rows
    self.start = start
    self.columns = columns
  }

  /// The first column that is taken.
  public var firstColumn: Int { start ?? 0 }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    if operands.count != 2 {
      _ = try expectRows(operands)
      try require(self == Self(), "takes columns and a number of rows with ids and values only")
      return operands
    }
    try expect(operands, "ids", "values")
    let (ids, values) = (operands[0], operands[1])
    try expectRowPairs(ids, values)
    try require(ids.dtype == .i64 && values.rank == 2 && values.dtype.isFloat, "wants i64 ids and a matrix of floats, got \(ids) and \(values)")
    try require((rows ?? 0) >= 0 && (rows ?? 0) <= largestCount, "cannot merge into \(rows ?? 0) rows")
    let width = values.shape[1]
    let fits = (0...width).contains(firstColumn) && (0...width - firstColumn).contains(columns ?? 0)
    try require(fits, "has no columns \(firstColumn) and further \(columns ?? 0) of \(values)")
    return [ids, values.with(shape: [values.shape[0], columns ?? width - firstColumn])]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let isSplit = operands.count == 2
    let values = operands[operands.count - 1].doubles
    let ids = isSplit ? operands[0].integers : operands[0].ids
    let whole = operands[operands.count - 1].type.shape[1]
    let width = columns ?? whole - firstColumn
    let limit = isSplit ? rows : operands[0].type.shape[0]
    var sums: [Int64: [Double]] = [:]
    for (k, id) in ids.enumerated() where id >= 0 && (limit.map { id < Int64($0) } ?? true) {
      let start = k * whole + firstColumn
      let row = values[start..<start + width]
      sums[id] = sums[id].map { zip($0, row).map { $0 + $1 } } ?? Array(row)
    }
    let order = sums.keys.sorted()
    let free = ids.count - order.count
    let newIDs = order + [Int64](repeating: -1, count: free)
    let newValues = order.flatMap { sums[$0] ?? [] } + [Double](repeating: 0, count: free * width)
    return isSplit
      ? [
        Literal(operands[0].type, integers: newIDs),
        Literal(operands[1].type.with(shape: [ids.count, width]), floats: newValues),
      ]
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
    let (count, whole) = (ids.count, values.shape[1])
    let width = columns ?? whole - firstColumn
    let (i, v) = (k.input("ids", ids), k.input("values", values))
    let (newIDs, y) = (k.output("merged_ids", ids), k.output("merged_values", values.with(shape: [count, width])))
    let sort = RadixSort(count, below: rows, k)
    sort.emit(i)
    let (sorted, order) = (sort.sorted, sort.order)
    let starts = k.buffer("starts", .i64, count + 1, .workspace)
    let found = k.buffer("found", .i64, 1, .workspace)
    emitStarts(sort, into: starts, count: found, k)

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
          [sums.add(k.load(v, Position(row) * whole + firstColumn + column), at: column, first)]
        }]
      }
      return [
        defineUsed, defineStart, defineEnd, .store(newIDs, slot, .select(.variable(used), id, .int(-1))),
        sums.clear(first), add,
      ] + sums.finish(first)
    }
    return k.kernel(name)
  }

  /// Notes where every number begins among the sorted ones, how many there are, and where the last one ends.
  private func emitStarts(_ sort: RadixSort, into starts: BufferID, count found: BufferID, _ k: KernelBuilder) {
    let heads = k.buffer("heads", .i64, sort.pieceCount, .workspace)
    let rows = k.buffer("rows", .i64, sort.pieceCount, .workspace)
    func isRow(_ place: Position) -> Scalar { sort.isNumber(k.load(sort.sorted, place)) }
    func isHead(_ place: Position) -> Scalar {
      let hasOneBefore = Scalar.compare(.greater, .position(place), .int(0))
      let before = k.load(sort.sorted, place + -1, where: hasOneBefore)
      let differs = Scalar.compare(.notEqual, before, k.load(sort.sorted, place))
      return .binary(.and, isRow(place), .binary(.or, differs, .unary(.not, hasOneBefore)))
    }
    k.stage(below: sort.pieceCount) { piece in
      let (headSum, rowSum) = (k.variable(.i64), k.variable(.i64))
      let scan = sort.each(in: piece, lanes: true) { place in
        [
          .accumulate(headSum, .sum, .select(isHead(place), .int(1), .int(0))),
          .accumulate(rowSum, .sum, .select(isRow(place), .int(1), .int(0))),
        ]
      }
      return [
        .accumulator(headSum, .sum), .accumulator(rowSum, .sum), scan, .store(heads, piece, .variable(headSum)),
        .store(rows, piece, .variable(rowSum)),
      ]
    }
    k.stage(below: 1) { _ in
      let sums = k.buffer("row_sums", .i64, 2, .local)
      let run = k.loop(below: sort.pieceCount) { piece in
        let (defineSlot, slot) = k.define(k.load(sums, Position(0)))
        let (defineOwn, own) = k.define(k.load(heads, piece))
        return [
          defineSlot, defineOwn, .store(heads, piece, .variable(slot)),
          .store(sums, Position(0), .binary(.add, .variable(slot), .variable(own))),
          .store(sums, Position(1), .binary(.add, k.load(sums, Position(1)), k.load(rows, piece))),
        ]
      }
      let (defineCount, count) = k.define(k.load(sums, Position(0)))
      return [
        .store(sums, Position(0), .int(0)), .store(sums, Position(1), .int(0)), run, defineCount,
        .store(found, Position(0), .variable(count)), .store(starts, Position(count), k.load(sums, Position(1))),
      ]
    }
    k.stage(below: sort.pieceCount) { piece in
      let next = k.buffer("next", .i64, 1, .local)
      let write = sort.each(in: piece) { place in
        let (defineSlot, slot) = k.define(k.load(next, Position(0)))
        let note: [Statement] = [
          defineSlot, .store(starts, Position(slot), .position(place)),
          .store(next, Position(0), .binary(.add, .variable(slot), .int(1))),
        ]
        return [.conditional(isHead(place), note)]
      }
      return [.store(next, Position(0), k.load(heads, piece)), write]
    }
  }

  public static let samples: [Sample] = rowSamples.map { Sample(Self(), $0) } + [
    Sample(Self(), .i64(9), .f32(9, 3)), Sample(Self(), .i64(1), .f32(1, 2)), Sample(Self(), .i64(0), .f32(0, 2)),
    Sample(Self(), .i64(33), .f32(33, 1), integersBelow: 20), Sample(Self(), .i64(6), TensorType(.bf16, [6, 5])),
    Sample(Self(), .i64(6), .f32(6, 40)), Sample(Self(), .i64(5), .f32(5, 0)),
    Sample(Self(rows: 4), .i64(9), .f32(9, 3)), Sample(Self(rows: 5000), .i64(40), .f32(40, 17), integersBelow: 5010),
    Sample(Self(rows: 1 << 40, start: 3, columns: 16), .i64(8), .f32(8, 40)), Sample(Self(rows: 0), .i64(3), .f32(3, 2)),
    Sample(Self(start: 2), .i64(7), .f32(7, 5)),
  ]
}
