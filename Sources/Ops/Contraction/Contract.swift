import IR

/// A product of two tensors summed over labels that the result lacks: an einsum of two operands.
///
///     contract("bti,oi->bto"): y[b, t, o] = Σᵢ x[b, t, i] · w[o, i]
///
/// Every label is one letter, at most once in each operand and in the result; the result's labels occur in the operands.
/// Sums of bf16 and f16 are rounded once, at the end; a wide contraction gives them as they are, in f32.
public struct Contract: TensorOp {
  public var name: String { "contract" }
  public let equation: String
  /// Computed row by row inside a region, unrolled, instead of by a matrix product (set by `fuse-width-expansion`).
  public let isRowResident: Bool
  /// The result is f32, whatever floats the operands are (set by `lower-precision`).
  public let isWide: Bool
  public init(_ equation: String, isRowResident: Bool = false, isWide: Bool = false) {
    self.equation = equation
    self.isRowResident = isRowResident
    self.isWide = isWide
  }

  private func dtype(of operand: TensorType) -> DType { isWide ? .f32 : operand.dtype }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "a", "b")
    let (a, b) = (operands[0], operands[1])
    let labels = try Equation(equation)
    try require(a.dtype == b.dtype, "wants two tensors of one dtype, got \(a) and \(b)")
    try expectNumeric(a, as: "a")
    if isWide { try expectFloat(a, as: "a") }
    var extents: [Character: Int] = [:]
    var total = 1
    for (list, type) in [(labels.a, a), (labels.b, b)] {
      let text = String(list)
      try require(list.count == type.rank, "labels the \(type.rank) axes of \(type) with '\(text)'")
      for (label, extent) in zip(list, type.shape) {
        if let other = extents[label] {
          try require(other == extent, "has \(other) and \(extent) elements along '\(label)'")
        } else {
          extents[label] = extent
          let (product, overflow) = total.multipliedReportingOverflow(by: max(1, extent))
          try require(!overflow, "multiplies too many elements")
          total = product
        }
      }
    }
    return [try checked(TensorType(dtype(of: a), labels.result.compactMap { extents[$0] }))]
  }

  /// The labels of an equation that `infer` has accepted.
  public var labels: Equation {
    guard let labels = try? Equation(equation) else { preconditionFailure("the equation '\(equation)' was not checked") }
    return labels
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (a, b, labels) = (operands[0], operands[1], labels)
    let extents = labels.extents(a.type, b.type)
    let summed = labels.summed
    let result = TensorType(dtype(of: a.type), labels.result.compactMap { extents[$0] })
    let outer = labels.result.map { ($0, extents[$0] ?? 0) }, inner = summed.map { ($0, extents[$0] ?? 0) }
    let (a0, a1) = (offsets(outer, labels.a, a.type), offsets(inner, labels.a, a.type))
    let (b0, b1) = (offsets(outer, labels.b, b.type), offsets(inner, labels.b, b.type))
    switch (a.elements, b.elements) {
    case (.floats(let x), .floats(let y)):
      return [Literal(result, floats: a0.indices.map { o in
        var sum = 0.0
        for i in a1.indices { sum += x[a0[o] + a1[i]] * y[b0[o] + b1[i]] }
        return sum
      })]
    case (.integers(let x), .integers(let y)):
      return [Literal(result, integers: a0.indices.map { o in
        var sum: Int64 = 0
        for i in a1.indices { sum &+= x[a0[o] + a1[i]] &* y[b0[o] + b1[i]] }
        return sum
      })]
    default: preconditionFailure("both operands are of one dtype")
    }
  }

  /// For each position of a box of labels, row-major, the offset in an operand that carries some of them.
  private func offsets(_ box: [(Character, Int)], _ labels: [Character], _ type: TensorType) -> [Int] {
    var offsets = [0]
    for (label, extent) in box {
      let stride = labels.firstIndex(of: label).map { type.strides[$0] } ?? 0
      offsets = offsets.flatMap { base in (0..<extent).map { base + $0 * stride } }
    }
    return offsets
  }

  /// An einsum for each operand, of what arrives and the other operand.
  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard var dy = try g.floatUpstream() else { return g.none }
    let (a, b, labels) = (g.operands[0], g.operands[1], labels)
    if g.type(of: dy).dtype != g.type(of: a).dtype { dy = try g.emit(Cast(g.type(of: a).dtype), dy) }
    let da = try gradient(of: a, labels.a, dy, labels.result, other: b, labels.b, &g)
    let db = try gradient(of: b, labels.b, dy, labels.result, other: a, labels.a, &g)
    return [da, db]
  }

  private func gradient(
    of x: Value, _ own: [Character], _ dy: Value, _ result: [Character], other: Value, _ others: [Character],
    _ g: inout GradientBuilder
  ) throws(Diagnostic) -> Value {
    // A label of `x` alone was summed by itself: every element along it gets the same.
    let alone = own.indices.filter { !result.contains(own[$0]) && !others.contains(own[$0]) }
    let kept = own.filter { result.contains($0) || others.contains($0) }
    let partial = try g.emit(Contract("\(String(result)),\(String(others))->\(String(kept))"), dy, other)
    if alone.isEmpty { return partial }
    return try g.emit(Broadcast(axes: alone, shape: g.type(of: x).shape), partial)
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let (labels, dtype) = (labels, dtype(of: operands[0]))
    let extents = labels.extents(operands[0], operands[1])
    return .formula { source, at in
      let outer = Dictionary(uniqueKeysWithValues: zip(labels.result, at))
      func product(_ inner: [Position]) -> Scalar {
        let places = outer.merging(zip(labels.summed, inner)) { first, _ in first }
        let a = source.operand(0, at: labels.a.compactMap { places[$0] })
        return a * source.operand(1, at: labels.b.compactMap { places[$0] })
      }
      if labels.summed.isEmpty { return product([]).wrapped(to: dtype) }
      return source.reduce(.sum, over: labels.summed.compactMap { extents[$0] }, product).wrapped(to: dtype)
    }
  }

  public static let samples: [Sample] = [
    Sample(Self("ij,jk->ik"), .f32(3, 5), .f32(5, 2)), Sample(Self("bti,oi->bto"), .f32(2, 3, 4), .f32(5, 4)),
    Sample(Self("bhtd,bhsd->bhts"), .f32(2, 1, 3, 5), .f32(2, 1, 4, 5)), Sample(Self("i,j->ji"), .f32(3), .f32(4)),
    Sample(Self("i,i->"), .f32(7), .f32(7)), Sample(Self("ij,ij->ij"), .f32(2, 3), .f32(2, 3)),
    Sample(Self("ijk,jl->l"), .f32(2, 3, 2), .f32(3, 4)), Sample(Self(",i->i"), .f32(), .f32(3)),
    Sample(Self("ij,jk->ik"), .f32(2, 0), .f32(0, 3)), Sample(Self("ij,jk->ik"), .i64(2, 3), .i64(3, 2)),
    Sample(Self("ij,jk->ik"), TensorType(.bf16, [3, 4]), TensorType(.bf16, [4, 3])),
    Sample(Self("ij,jk->ik"), TensorType(.u8, [2, 9]), TensorType(.u8, [9, 2]), integersBelow: 256),
    Sample(Self("ij,kj->ki"), TensorType(.f16, [1, 7]), TensorType(.f16, [2, 7])),
    Sample(Self("ij,jk->ik", isWide: true), TensorType(.bf16, [3, 9]), TensorType(.bf16, [9, 4])),
  ]
}
