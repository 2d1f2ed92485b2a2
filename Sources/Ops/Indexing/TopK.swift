import IR

/// The `k` largest elements along the last axis, largest first, and their places (i64).
///
/// Of equal elements the lower place comes first; a NaN is larger than any number. The gradient goes to the chosen elements.
public struct TopK: TensorOp {
  public var name: String { "top_k" }
  public let k: Int
  public init(_ k: Int) { self.k = k }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try expectNumeric(x, as: "x")
    try require(x.rank > 0, "wants a last axis, got \(x)")
    let extent = x.shape[x.rank - 1]
    try require(k >= 0 && k <= extent, "cannot take \(k) of the \(extent) elements along the last axis of \(x)")
    let shape = Array(x.shape.dropLast() + [k])
    return [x.with(shape: shape), TensorType(.i64, shape)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    operands[0].ranked(keeping: k, by: operands[0].comesBefore)
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { try scatterBack(&g) }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let x = operands[0]
    return .kernel {
      let b = KernelBuilder()
      let result = x.with(shape: [x.shape.dropLast().reduce(1, *), k])
      let (from, values) = (b.input("x", x), b.output("values", result))
      let places = b.output("indices", result.with(.i64))
      if k > 0 { Selection(x, k, b).emit(from, into: values, places) }
      return b.kernel(name)
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(3), .f32(4, 7)), Sample(Self(1), .f32(5)), Sample(Self(5), .f32(2, 3, 5)), Sample(Self(2), .i64(3, 9)),
    Sample(Self(0), .f32(2, 3)), Sample(Self(4), TensorType(.bf16, [2, 16])), Sample(Self(2), TensorType(.u8, [8])),
    Sample(Self(16), .f32(3, 100)), Sample(Self(5), .f32(3, 100)), Sample(Self(8), .i64(2, 131)),
    Sample(Self(3), TensorType(.bf16, [2, 70])), Sample(Self(0), .f32(2, 0)), Sample(Self(2), .f32(0, 5)), Sample(Self(3), TensorType(.i32, [2, 33])),
  ]
}

extension Literal {
  /// The elements along the last axis in an order, and their places; `comesBefore` compares two offsets. Stable.
  func ranked(keeping count: Int, by comesBefore: (Int, Int) -> Bool) -> [Literal] {
    let extent = type.shape[type.rank - 1]
    let batches = type.shape.dropLast().reduce(1, *)
    let offsets = (0..<batches).flatMap { batch in
      let line = Array((batch * extent)..<((batch + 1) * extent))
      return line.sorted { comesBefore($0, $1) || (!comesBefore($1, $0) && $0 < $1) }.prefix(count)
    }
    let shape = Array(type.shape.dropLast() + [count])
    let values = rearranged(to: [offsets.count]) { offsets[$0[0]] }.reshaped(to: shape)
    return [values, Literal(TensorType(.i64, shape), integers: offsets.map { Int64($0 % extent) })]
  }
}

/// The gradient of an op whose results are values picked along the last axis, and their places.
func scatterBack(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
  guard let dy = try g.floatUpstream() else { return g.none }
  let x = g.type(of: g.operands[0])
  return [try g.emit(ScatterElements(extent: x.shape[x.rank - 1]), g.results[1], dy)]
}
