import IR

/// Weighted sums of a table's rows, an embedding bag: for every list of ids one sum for each of P blocks, with a weight
/// for each of the C slices that a row is cut into.
///
///     y[n, p, c·w + i] = Σₖ weights[n, k, p, c] · table[ids[n, k], c·w + i]
///
/// Table `[V, C·w]`, ids `[N, K]`, weights `[N, K, P, C]`. A number outside of the table adds nothing. The rows are never
/// written to memory. `fuse-memory-lookup` makes it of a `gather` and a `contract`.
public struct GatherSum: TensorOp {
  public var name: String { "gather_sum" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "table", "ids", "weights")
    let (table, ids, weights) = (operands[0], operands[1], operands[2])
    try expectLists(of: table, ids)
    try require(
      weights.dtype.isFloat && weights.rank == 4 && Array(weights.shape.prefix(2)) == ids.shape,
      "wants weights for each of \(ids), by block and slice, got \(weights)")
    try expectSlices(weights.shape[3], of: table)
    return [try checked(weights.with(shape: [ids.shape[0], weights.shape[2], table.shape[1]]))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (table, weights) = (operands[0], operands[2])
    let sizes = LookupSizes(table.type, operands[1].type, blocks: weights.type.shape[2], slices: weights.type.shape[3])
    let (rows, factors) = (table.doubles, weights.doubles)
    var sums = [Double](repeating: 0, count: sizes.lists * sizes.parts * sizes.part)
    for (place, id) in operands[1].integers.enumerated() where id >= 0 && id < sizes.rows {
      for part in 0..<sizes.parts {
        let factor = factors[place * sizes.parts + part]
        let row = Int(id) * sizes.width + part % sizes.slices * sizes.part
        let sum = (place / sizes.picks * sizes.parts + part) * sizes.part
        for i in 0..<sizes.part { sums[sum + i] += factor * rows[row + i] }
      }
    }
    let shape = [sizes.lists, sizes.blocks, sizes.width]
    return [Literal(weights.type.with(shape: shape), floats: sums)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let (table, ids, weights) = (g.operands[0], g.operands[1], g.operands[2])
    let rows = try g.rowGradient(of: table, ids, weights, dy)
    return [rows, nil, try g.emit(GatherDot(slices: g.type(of: weights).shape[3]), table, ids, dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands[0], operands[1], operands[2]) } }

  private func kernel(_ table: TensorType, _ ids: TensorType, _ weights: TensorType) -> Kernel {
    let k = KernelBuilder()
    let sizes = LookupSizes(table, ids, blocks: weights.shape[2], slices: weights.shape[3])
    let count = sizes.parts * sizes.part
    let (t, i, w) = (k.input("table", table), k.input("ids", ids), k.input("weights", weights))
    let y = k.output("y", weights.with(shape: [sizes.lists, count]))
    let sums = RunningSums(k, weights.dtype, count: count, into: y)
    k.stage(below: sizes.lists) { list in
      let first = list * count
      let add = k.loop(below: sizes.picks) { pick in
        let place = list * sizes.picks + pick
        let (define, id) = k.define(k.load(i, place).wide)
        let parts = k.loop(below: sizes.parts) { part in
          let (defineWeight, weight) = k.define(k.load(w, place * sizes.parts + part))
          let row = Position(id) * sizes.width + part % sizes.slices * sizes.part
          let addPart = k.lanes(below: sizes.part) { column in
            [sums.add(k.load(t, row + column), times: .variable(weight), at: part * sizes.part + column, first)]
          }
          return [defineWeight, addPart]
        }
        return [define, .conditional(Scalar.variable(id).isWithin(sizes.rows), [parts])]
      }
      return [sums.clear(first), add] + sums.finish(first)
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(7, 6), .i64(3, 4), .f32(3, 4, 1, 1), integersBelow: 9),
    Sample(Self(), .f32(5, 6), .i64(2, 3), .f32(2, 3, 4, 2)), Sample(Self(), .f32(5, 40), .i64(2, 9), .f32(2, 9, 1, 2)),
    Sample(Self(), TensorType(.bf16, [4, 3]), TensorType(.i32, [2, 5]), .f32(2, 5, 1, 3)),
    Sample(Self(), .f32(4, 3), .i64(2, 5), TensorType(.bf16, [2, 5, 2, 1])), Sample(Self(), .f32(4, 3), .i64(2, 0), .f32(2, 0, 1, 1)),
    Sample(Self(), .f32(0, 2), .i64(1, 2), .f32(1, 2, 1, 1)), Sample(Self(), .f32(3, 2), .i64(0, 2), .f32(0, 2, 1, 1)),
  ]
}

/// Products of table rows with vectors: what `GatherSum` gives back to its weights.
///
///     q[n, k, p, c] = Σᵢ table[ids[n, k], c·w + i] · x[n, p, c·w + i]
///
/// Table `[V, C·w]`, ids `[N, K]`, x `[N, P, C·w]`. A number outside of the table gives zeros.
public struct GatherDot: TensorOp {
  public var name: String { "gather_dot" }
  /// Slices a row is cut into.
  public let slices: Int
  public init(slices: Int) { self.slices = slices }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "table", "ids", "x")
    let (table, ids, x) = (operands[0], operands[1], operands[2])
    try expectLists(of: table, ids)
    try require(
      x.dtype.isFloat && x.rank == 3 && x.shape[0] == ids.shape[0] && x.shape[2] == table.shape[1],
      "wants rows of \(table.shape[1]) for each list of \(ids), got \(x)")
    try expectSlices(slices, of: table)
    return [try checked(x.with(shape: ids.shape + [x.shape[1], slices]))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (table, x) = (operands[0], operands[2])
    let sizes = LookupSizes(table.type, operands[1].type, blocks: x.type.shape[1], slices: slices)
    let (rows, vectors) = (table.doubles, x.doubles)
    var products = [Double](repeating: 0, count: sizes.lists * sizes.picks * sizes.parts)
    for (place, id) in operands[1].integers.enumerated() where id >= 0 && id < sizes.rows {
      for part in 0..<sizes.parts {
        let row = Int(id) * sizes.width + part % slices * sizes.part
        let vector = (place / sizes.picks * sizes.parts + part) * sizes.part
        products[place * sizes.parts + part] = (0..<sizes.part).reduce(0) { $0 + rows[row + $1] * vectors[vector + $1] }
      }
    }
    return [Literal(x.type.with(shape: operands[1].type.shape + [sizes.blocks, slices]), floats: products)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let (table, ids, x) = (g.operands[0], g.operands[1], g.operands[2])
    let rows = try g.rowGradient(of: table, ids, dy, x)
    return [rows, nil, try g.emit(GatherSum(), table, ids, dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands[0], operands[1], operands[2]) } }

  private func kernel(_ table: TensorType, _ ids: TensorType, _ x: TensorType) -> Kernel {
    let k = KernelBuilder()
    let sizes = LookupSizes(table, ids, blocks: x.shape[1], slices: slices)
    let (t, i, v) = (k.input("table", table), k.input("ids", ids), k.input("x", x))
    let q = k.output("q", x.with(shape: ids.shape + [sizes.parts]))
    k.stage(below: sizes.lists) { list in
      [k.loop(below: sizes.picks) { pick in
        let place = list * sizes.picks + pick
        let (define, id) = k.define(k.load(i, place).wide)
        let (defineInside, isInside) = k.define(Scalar.variable(id).isWithin(sizes.rows))
        let multiply = k.loop(below: sizes.parts) { part in
          let row = Position(id) * sizes.width + part % slices * sizes.part
          let vector = (list * sizes.parts + part) * sizes.part
          let sum = k.variable(.f32)
          let add = k.lanes(below: sizes.part) { column in
            [.accumulate(sum, .sum, .binary(.multiply, k.load(t, row + column), k.load(v, vector + column)))]
          }
          return [.accumulator(sum, .sum), add, .store(q, place * sizes.parts + part, .variable(sum))]
        }
        let clear = k.loop(below: sizes.parts) { [.store(q, place * sizes.parts + $0, .float(0))] }
        return [
          define, defineInside, .conditional(.variable(isInside), [multiply]),
          .conditional(.unary(.not, .variable(isInside)), [clear]),
        ]
      }]
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(slices: 1), .f32(7, 6), .i64(3, 4), .f32(3, 1, 6), integersBelow: 9),
    Sample(Self(slices: 2), .f32(5, 6), .i64(2, 3), .f32(2, 4, 6)), Sample(Self(slices: 2), .f32(5, 40), .i64(2, 9), .f32(2, 1, 40)),
    Sample(Self(slices: 3), TensorType(.bf16, [4, 3]), TensorType(.i32, [2, 5]), .f32(2, 1, 3)),
    Sample(Self(slices: 1), .f32(4, 3), .i64(2, 5), TensorType(.bf16, [2, 2, 3])), Sample(Self(slices: 1), .f32(4, 3), .i64(2, 0), .f32(2, 1, 3)),
    Sample(Self(slices: 1), .f32(0, 2), .i64(1, 2), .f32(1, 1, 2)), Sample(Self(slices: 1), .f32(3, 2), .i64(0, 2), .f32(0, 1, 2)),
  ]
}

/// The numbers by which lists of ids, their table and what belongs to them are laid out.
private struct LookupSizes {
  let rows, width: Int
  let lists, picks: Int
  let blocks, slices: Int
  /// Blocks times slices, and the elements of a slice.
  let parts, part: Int

  init(_ table: TensorType, _ ids: TensorType, blocks: Int, slices: Int) {
    (rows, width) = (table.shape[0], table.shape[1])
    (lists, picks) = (ids.shape[0], ids.shape[1])
    (self.blocks, self.slices) = (blocks, slices)
    parts = blocks * slices
    part = width / slices
  }
}

private func expectLists(of table: TensorType, _ ids: TensorType) throws(Violation) {
  try require(table.dtype.isFloat && table.rank == 2, "wants a table of float rows, got \(table)")
  try expectInteger(ids, as: "ids")
  try require(ids.rank == 2, "wants lists of ids, got \(ids)")
}

private func expectSlices(_ slices: Int, of table: TensorType) throws(Violation) {
  try require(
    slices > 0 && table.shape[1] % slices == 0, "cannot cut rows of \(table) into \(slices) slices")
}

extension GradientBuilder {
  /// Σ over blocks of weights[n, k, p, c] · x[n, p, c·w + i], as rows of a table's gradient.
  fileprivate mutating func rowGradient(of table: Value, _ ids: Value, _ weights: Value, _ x: Value) throws(Diagnostic) -> Value {
    let (tableType, shape) = (type(of: table), type(of: weights).shape)
    let (count, slices) = (shape[0] * shape[1], shape[3])
    let parts = try emit(Reshape(shape: [shape[0], shape[2], slices, tableType.shape[1] / slices]), x)
    let products = try emit(Contract("npcw,nkpc->nkcw"), parts, weights)
    var values = try emit(Reshape(shape: [count, tableType.shape[1]]), products)
    if type(of: values).dtype != tableType.dtype { values = try emit(Cast(tableType.dtype), values) }
    var numbers = try emit(Reshape(shape: [count]), ids)
    if type(of: numbers).dtype != .i64 { numbers = try emit(Cast(.i64), numbers) }
    return try emit(MakeRows(rows: tableType.shape[0]), numbers, values)
  }
}
