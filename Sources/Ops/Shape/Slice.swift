import IR

/// A box out of a tensor: `y[i] = x[starts + i · strides]`, up to and without `limits`.
public struct Slice: TensorOp {
  public var name: String { "slice" }
  public let starts: [Int]
  public let limits: [Int]
  /// Steps along each axis; all 1 where left out.
  public let strides: [Int]?

  public init(starts: [Int], limits: [Int], strides: [Int]? = nil) {
    self.starts = starts
    self.limits = limits
    self.strides = strides.flatMap { $0.allSatisfy { $0 == 1 } ? nil : $0 }
  }

  private var steps: [Int] { strides ?? starts.map { _ in 1 } }

  /// The shape of the result: every axis rounded up to whole steps.
  private var extents: [Int] {
    starts.indices.map { axis in
      let span = limits[axis] - starts[axis]
      return span == 0 ? 0 : (span - 1) / steps[axis] + 1
    }
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    for list in [starts, limits, steps] {
      try require(list.count == x.rank, "wants \(x.rank) numbers for the axes of \(x), got \(list)")
    }
    for axis in 0..<x.rank {
      let (start, limit) = (starts[axis], limits[axis])
      let fits = start >= 0 && start <= limit && limit <= x.shape[axis]
      try require(fits, "cannot take \(start) up to \(limit) along axis \(axis) of \(x)")
      try require(steps[axis] > 0, "wants positive strides, got \(steps)")
    }
    return [x.with(shape: extents)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (x, steps) = (operands[0], steps)
    return [x.rearranged(to: extents) { at in x.offset(of: at.indices.map { starts[$0] + at[$0] * steps[$0] }) }]
  }

  /// Zeros around what arrives, and between where steps were left out.
  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard var dy = try g.floatUpstream() else { return g.none }
    let shape = g.type(of: g.operands[0]).shape
    var extents = extents
    if let strides {
      // Each element becomes a step long: [n] -> [n, 1] -> [n, step] -> [n · step].
      dy = try g.emit(Reshape(shape: extents.flatMap { [$0, 1] }), dy)
      let high = strides.flatMap { [0, $0 - 1] }
      dy = try g.emit(Pad(low: high.map { _ in 0 }, high: high), dy)
      extents = zip(extents, strides).map { $0 * $1 }
      dy = try g.emit(Reshape(shape: extents), dy)
      let room = shape.indices.map { min(extents[$0], shape[$0] - starts[$0]) }
      dy = try g.emit(Slice(starts: room.map { _ in 0 }, limits: room), dy)
      extents = room
    }
    let high = shape.indices.map { shape[$0] - starts[$0] - extents[$0] }
    return [try g.emit(Pad(low: starts, high: high), dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let steps = steps
    return .formula { source, at in
      source.operand(0, at: at.indices.map { at[$0] * steps[$0] + starts[$0] })
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(starts: [1], limits: [4]), .f32(5)), Sample(Self(starts: [0, 2], limits: [3, 5]), .f32(3, 7)),
    Sample(Self(starts: [1, 0], limits: [8, 5], strides: [3, 2]), .f32(9, 5)),
    Sample(Self(starts: [2], limits: [2]), .f32(3)), Sample(Self(starts: [], limits: []), .i64()),
    Sample(Self(starts: [0], limits: [7], strides: [7]), .f32(7)), Sample(Self(starts: [1], limits: [3]), TensorType(.bf16, [3])),
  ]
}
