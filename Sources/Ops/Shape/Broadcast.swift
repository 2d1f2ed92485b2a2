import IR

/// Repeats a tensor along new axes.
///
/// `axes` are the axes of the result that are new; the operand's axes fill the others in order:
///
///     y[i, j, k] = x[i, k]     with axes = [1]
public struct Broadcast: TensorOp {
  public var name: String { "broadcast" }
  public let axes: [Int]
  public let shape: [Int]
  public init(axes: [Int], shape: [Int]) {
    self.axes = axes.sorted()
    self.shape = shape
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try expectAxes(axes, rank: shape.count)
    let kept = old(shape)
    try require(kept == x.shape, "fills the axes \(kept) of \(shape) with \(x)")
    return [try checked(x.with(shape: shape))]
  }

  /// What of a position or shape of the result belongs to the operand.
  private func old<T>(_ all: [T]) -> [T] { all.indices.filter { !axes.contains($0) }.map { all[$0] } }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    return [x.rearranged(to: shape) { x.offset(of: old($0)) }]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [axes.isEmpty ? dy : try g.emit(Reduce(.sum, axes: axes), dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    .formula { source, at in source.operand(0, at: old(at)) }
  }

  public static let samples: [Sample] = [
    Sample(Self(axes: [0], shape: [3, 5]), .f32(5)), Sample(Self(axes: [1], shape: [2, 3, 4]), .f32(2, 4)),
    Sample(Self(axes: [0, 2], shape: [2, 3, 2]), .i64(3)), Sample(Self(axes: [0, 1], shape: [2, 2]), .f32()),
    Sample(Self(axes: [], shape: [3]), .f32(3)), Sample(Self(axes: [1], shape: [3, 0]), .f32(3)),
    Sample(Self(axes: [0], shape: [1, 2]), TensorType(.bool, [2])), Sample(Self(axes: [0], shape: [3, 2]), TensorType(.bf16, [2])),
  ]
}
