import IR

/// Whether each element is one of the `k` largest along the last axis: exactly `k` of every line are.
///
/// Of equal elements those at lower places are taken; a NaN is larger than any number. The same choice as `TopK`, but
/// nothing is sorted, so that `k` may be as large as it likes. A choice is constant: there is no gradient.
public struct TopMask: TensorOp {
  public var name: String { "top_mask" }
  public let k: Int
  public init(_ k: Int) { self.k = k }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try expectNumeric(x, as: "x")
    try require(x.rank > 0, "wants a last axis, got \(x)")
    let extent = x.shape[x.rank - 1]
    try require(k >= 0 && k <= extent, "cannot choose \(k) of the \(extent) elements along the last axis of \(x)")
    return [x.with(.bool)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    let places = x.ranked(keeping: k, by: x.comesBefore)[1].integers
    var mask = [Int64](repeating: 0, count: x.type.count)
    let extent = x.type.shape[x.type.rank - 1]
    for (number, place) in places.enumerated() { mask[number / k * extent + Int(place)] = 1 }
    return [Literal(x.type.with(.bool), integers: mask)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [nil] }

  /// Short lines count for each element those before it; longer ones find the least chosen element bit by bit.
  public func lower(_ operands: [TensorType]) -> Lowering {
    let x = operands[0]
    let extent = x.shape[x.rank - 1]
    guard extent <= 64 else { return .kernel { kernel(x) } }
    return .formula { source, at in
      let (line, own) = (Array(at.dropLast()), at[at.count - 1])
      let element = source.operand(0, at: at)
      let rank = source.reduce(.sum, over: [extent]) { inner in
        let other = source.operand(0, at: line + inner)
        let isEarlier = Scalar.compare(.less, .position(inner[0]), .position(own))
        let isBefore = element.comesAfter(other, ifEarlier: isEarlier) { $0.isLarger(than: $1) }
        return .select(isBefore, .integer(1, .i32), .integer(0, .i32))
      }
      return .compare(.less, rank, .integer(Int64(k), .i32))
    }
  }

  private func kernel(_ x: TensorType) -> Kernel {
    let b = KernelBuilder()
    let from = b.input("x", x)
    let mask = b.output("mask", x.with(.bool))
    if k > 0 { BitSelection(x, k, b).emit(from, into: mask) } else { clear(mask, x.count, b) }
    return b.kernel(name)
  }

  private func clear(_ mask: BufferID, _ count: Int, _ b: KernelBuilder) {
    b.stage(below: pieces(of: count, by: 1024)) { piece in
      let first = piece * 1024
      return [b.lanes(below: 1024, limit: Position(count) - first) { [.store(mask, first + $0, .boolean(false))] }]
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(3), .f32(4, 7)), Sample(Self(1), .f32(5)), Sample(Self(5), .i64(2, 3, 5)), Sample(Self(0), .f32(2, 3)),
    Sample(Self(4), TensorType(.bf16, [2, 16])), Sample(Self(40), .f32(3, 100)), Sample(Self(0), .f32(2, 70)),
    Sample(Self(70), .f32(70)), Sample(Self(33), .i64(2, 90)), Sample(Self(9), TensorType(.u8, [1, 200])),
    Sample(Self(50), TensorType(.i32, [3, 65])), Sample(Self(1), TensorType(.f16, [2, 300])), Sample(Self(2), .f32(0, 5)),
    Sample(Self(0), .f32(2, 0)), Sample(Self(3000), .f32(9000)),
  ]
}
