import IR

/// Rows that lie in groups, each times the matrix of its group:
///
///     y[r, o] = Σᵢ x[r, i] · w[g, o, i]      (transposed: w[g, i, o])
///
/// for the rows `r` of group `g`: the first `sizes[0]` rows are of group 0, the next `sizes[1]` of group 1, and so on. Rows
/// after the last group are zero. This is how a mixture of experts is computed from its winners sorted by expert: no row
/// is dropped and none is padded, whatever the groups' sizes.
public struct GroupedContract: TensorOp {
  public var name: String { "grouped_contract" }
  public let transposed: Bool
  public init(transposed: Bool = false) { self.transposed = transposed }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "rows", "matrices", "sizes")
    let (x, w, sizes) = (operands[0], operands[1], operands[2])
    try expectFloat(x, as: "rows")
    try require(x.rank == 2, "wants rows [rows, inputs], got \(x)")
    try require(w.rank == 3 && w.dtype == x.dtype, "wants a matrix of \(x.dtype.rawValue) for each group, got \(w)")
    try expectGroups(sizes, as: w.shape[0])
    let (inputs, outputs) = transposed ? (w.shape[1], w.shape[2]) : (w.shape[2], w.shape[1])
    try require(x.shape[1] == inputs, "wants \(inputs) inputs in each row, got \(x)")
    return [try checked(x.with(shape: [x.shape[0], outputs]))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (x, w) = (operands[0].doubles, operands[1].doubles)
    let (rows, inputs) = (operands[0].type.shape[0], operands[0].type.shape[1])
    let outputs = operands[1].type.shape[transposed ? 2 : 1]
    var y = [Double](repeating: 0, count: rows * outputs)
    for (group, members) in operands[2].integers.rowGroups(of: rows).enumerated() {
      for row in members {
        for output in 0..<outputs {
          var sum = 0.0
          for input in 0..<inputs {
            let place = transposed ? input * outputs + output : output * inputs + input
            sum += x[row * inputs + input] * w[group * inputs * outputs + place]
          }
          y[row * outputs + output] = sum
        }
      }
    }
    return [Literal(operands[0].type.with(shape: [rows, outputs]), floats: y)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let (x, w, sizes) = (g.operands[0], g.operands[1], g.operands[2])
    let dx = try g.emit(GroupedContract(transposed: !transposed), dy, w, sizes)
    let dw = transposed ? try g.emit(GroupedOuter(), x, dy, sizes) : try g.emit(GroupedOuter(), dy, x, sizes)
    return [dx, dw, nil]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands) } }

  private func kernel(_ operands: [TensorType]) -> Kernel {
    let k = KernelBuilder()
    let (x, w) = (operands[0], operands[1])
    let (rows, inputs, outputs) = (x.shape[0], x.shape[1], w.shape[transposed ? 2 : 1])
    let (a, b, sizes) = (k.input("rows", x), k.input("matrices", w), k.input("sizes", operands[2]))
    let y = k.output("y", x.with(shape: [rows, outputs]))
    let groups = RowGroups(rows: rows, groups: w.shape[0], sizes: sizes, k)
    let table = groups.emitTable()
    groups.eachTile(of: table) { tile in
      let start = Position(tile.group) * (inputs * outputs)
      let product = Product(
        m: groups.tile, n: outputs, k: inputs, rowLimit: Position(tile.count),
        .init(a, at: Position(tile.first) * inputs, rowStride: inputs, columnStride: 1),
        .init(b, at: start, rowStride: transposed ? outputs : 1, columnStride: transposed ? 1 : inputs),
        into: .init(y, at: Position(tile.first) * outputs, rowStride: outputs, columnStride: 1))
      let clear = k.loop(below: groups.tile, limit: Position(tile.count)) { row in
        [k.lanes(below: outputs) { [.store(y, (Position(tile.first) + row) * outputs + $0, .float(0))] }]
      }
      let isMember = Scalar.compare(.greaterOrEqual, .variable(tile.group), .int(0))
      return [.conditional(isMember, [.product(product)]), .conditional(.unary(.not, isMember), [clear])]
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(9, 4), .f32(3, 5, 4), .i64(3)), Sample(Self(transposed: true), .f32(9, 5), .f32(3, 5, 4), .i64(3)),
    Sample(Self(), .f32(70, 3), .f32(2, 7, 3), .i64(2), integersBelow: 60), Sample(Self(), .f32(5, 2), .f32(1, 1, 2), TensorType(.i32, [1])),
    Sample(Self(), .f32(0, 2), .f32(2, 3, 2), .i64(2)), Sample(Self(), .f32(4, 2), .f32(0, 3, 2), .i64(0)),
    Sample(Self(), .f32(6, 0), .f32(2, 3, 0), .i64(2)), Sample(Self(transposed: true), .f32(6, 2), .f32(2, 2, 0), .i64(2)),
    Sample(Self(), TensorType(.bf16, [8, 6]), TensorType(.bf16, [2, 4, 6]), .i64(2)),
    Sample(Self(transposed: true), .f32(50, 9), .f32(8, 9, 33), .i64(8), integersBelow: 12),
    Sample(Self(), TensorType(.bf16, [70, 24]), TensorType(.bf16, [3, 40, 24]), .i64(3), integersBelow: 40),
  ]
}

func expectGroups(_ sizes: TensorType, as groups: Int) throws(Violation) {
  try expectInteger(sizes, as: "sizes")
  try require(sizes.shape == [groups], "wants the sizes of \(groups) groups, got \(sizes)")
}
