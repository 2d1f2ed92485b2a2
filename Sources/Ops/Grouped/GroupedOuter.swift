import IR

/// For rows that lie in groups, the sum of the outer products of each group's pairs of rows:
///
///     y[g, m, n] = Σᵣ a[r, m] · b[r, n],   r the rows of group g
///
/// Groups are laid out as in `GroupedContract`, of whose matrices this is the gradient. A group without rows gives zeros.
public struct GroupedOuter: TensorOp {
  public var name: String { "grouped_outer" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "a", "b", "sizes")
    let (a, b, sizes) = (operands[0], operands[1], operands[2])
    try expectFloat(a, as: "a")
    let isPair = a.rank == 2 && b.rank == 2 && a.dtype == b.dtype && a.shape[0] == b.shape[0]
    try require(isPair, "wants two matrices of as many rows, got \(a) and \(b)")
    try require(sizes.rank == 1, "wants a list of sizes, got \(sizes)")
    try expectInteger(sizes, as: "sizes")
    return [try checked(a.with(shape: [sizes.shape[0], a.shape[1], b.shape[1]]))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (a, b) = (operands[0].doubles, operands[1].doubles)
    let (rows, m, n) = (operands[0].type.shape[0], operands[0].type.shape[1], operands[1].type.shape[1])
    let groups = operands[2].integers.rowGroups(of: rows)
    var y = [Double](repeating: 0, count: groups.count * m * n)
    for (group, members) in groups.enumerated() {
      for row in members {
        for i in 0..<m {
          for j in 0..<n { y[(group * m + i) * n + j] += a[row * m + i] * b[row * n + j] }
        }
      }
    }
    return [Literal(operands[0].type.with(shape: [groups.count, m, n]), floats: y)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let (a, b, sizes) = (g.operands[0], g.operands[1], g.operands[2])
    let da = try g.emit(GroupedContract(), b, dy, sizes)
    return [da, try g.emit(GroupedContract(transposed: true), a, dy, sizes), nil]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands) } }

  private func kernel(_ operands: [TensorType]) -> Kernel {
    let k = KernelBuilder()
    let (rows, m, n) = (operands[0].shape[0], operands[0].shape[1], operands[1].shape[1])
    let groups = operands[2].shape[0]
    let (a, b, sizes) = (k.input("a", operands[0]), k.input("b", operands[1]), k.input("sizes", operands[2]))
    let y = k.output("y", operands[0].with(shape: [groups, m, n]))
    let starts = RowGroups(rows: rows, groups: groups, sizes: sizes, k).emitStarts()
    // Groups of unlike sizes are cut, so that no thread waits for the one that has the largest.
    let cuts = m >= 512 ? 2 : 1
    let height = pieces(of: m, by: cuts)
    k.stage(below: groups * cuts) { number in
      let (group, first) = (number / cuts, number % cuts * height)
      let (defineStart, start) = k.define(k.load(starts, group))
      let (defineEnd, end) = k.define(k.load(starts, group + 1))
      let product = Product(
        m: height, n: n, k: rows, rowLimit: height * cuts == m ? nil : Position(m) - first,
        depthLimit: Position(end) - Position(start),
        .init(a, at: Position(start) * m + first, rowStride: 1, columnStride: m),
        .init(b, at: Position(start) * n, rowStride: n, columnStride: 1),
        into: .init(y, at: (group * m + first) * n, rowStride: n, columnStride: 1))
      return [defineStart, defineEnd, .product(product)]
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(9, 4), .f32(9, 5), .i64(3)), Sample(Self(), .f32(70, 3), .f32(70, 7), .i64(2), integersBelow: 60),
    Sample(Self(), .f32(4, 1), .f32(4, 2), TensorType(.i32, [2])), Sample(Self(), .f32(0, 2), .f32(0, 3), .i64(2)),
    Sample(Self(), .f32(4, 2), .f32(4, 3), .i64(0)), Sample(Self(), .f32(5, 0), .f32(5, 2), .i64(2)),
    Sample(Self(), TensorType(.bf16, [8, 6]), TensorType(.bf16, [8, 4]), .i64(2)),
    Sample(Self(), .f32(20, 513), .f32(20, 2), .i64(3), integersBelow: 9),
    Sample(Self(), TensorType(.bf16, [60, 24]), TensorType(.bf16, [60, 16]), .i64(3), integersBelow: 30),
  ]
}
