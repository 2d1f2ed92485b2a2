import IR

/// Puts zeros (false) around a tensor: `low` before and `high` behind, along each axis.
public struct Pad: TensorOp {
  public var name: String { "pad" }
  public let low: [Int]
  public let high: [Int]
  public init(low: [Int], high: [Int]) {
    self.low = low
    self.high = high
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    for list in [low, high] {
      try require(list.count == x.rank, "wants \(x.rank) numbers for the axes of \(x), got \(list)")
      let allowed = list.allSatisfy { $0 >= 0 && $0 <= largestCount }
      try require(allowed, "cannot pad by \(list)")
    }
    return [try checked(x.with(shape: padded(x.shape)))]
  }

  private func padded(_ shape: [Int]) -> [Int] { shape.indices.map { low[$0] + shape[$0] + high[$0] } }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (x, shape) = (operands[0], operands[0].type.shape)
    return [x.rearranged(to: padded(shape)) { at in
      let inner = at.indices.map { at[$0] - low[$0] }
      let inside = inner.indices.allSatisfy { inner[$0] >= 0 && inner[$0] < shape[$0] }
      return inside ? x.offset(of: inner) : nil
    }]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let shape = g.type(of: g.operands[0]).shape
    let limits = shape.indices.map { low[$0] + shape[$0] }
    return [try g.emit(Slice(starts: low, limits: limits), dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let shape = operands[0].shape
    return .formula { source, at in
      var inside: Scalar?
      for axis in at.indices {
        if low[axis] > 0 { inside = both(inside, .compare(.greaterOrEqual, .position(at[axis]), .integer(Int64(low[axis]), .i64))) }
        let end = Int64(low[axis] + shape[axis])
        if high[axis] > 0 { inside = both(inside, .compare(.less, .position(at[axis]), .integer(end, .i64))) }
      }
      return source.operand(0, at: at.indices.map { at[$0] + -low[$0] }, where: inside)
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(low: [1], high: [2]), .f32(5)), Sample(Self(low: [0, 2], high: [1, 0]), .f32(3, 4)),
    Sample(Self(low: [0], high: [0]), .f32(3)), Sample(Self(low: [2], high: [1]), .f32(0)), Sample(Self(low: [], high: []), .f32()),
    Sample(Self(low: [1, 1], high: [1, 1]), .i64(2, 1)), Sample(Self(low: [1], high: [0]), TensorType(.bool, [3])),
  ]
}

/// Both conditions, where there is one at all.
func both(_ a: Scalar?, _ b: Scalar) -> Scalar { a.map { .binary(.and, $0, b) } ?? b }
