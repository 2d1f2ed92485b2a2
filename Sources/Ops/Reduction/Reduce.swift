import IR

/// Combines all elements along some axes, which vanish: `y[i] = Σⱼ x[i, j]` and its kin.
///
/// Sums, largest and smallest are of numbers, `any` and `all` of bool. An empty sum is 0, an empty largest the least number
/// there is. Sums of bf16 and f16 are rounded once, at the end. The gradient of a largest or smallest element goes in equal
/// parts to all elements that are equal to it.
public struct Reduce: TensorOp {
  public var name: String { "reduce" }
  public let kind: Reduction
  public let axes: [Int]
  public init(_ kind: Reduction, axes: [Int]) {
    self.kind = kind
    self.axes = axes.sorted()
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try expectAxes(axes, rank: x.rank)
    let wantsBool = kind == .any || kind == .all
    try require((x.dtype == .bool) == wantsBool, "of kind \(kind.rawValue) is not defined on \(x.dtype.rawValue)")
    return [x.with(shape: kept(x.shape))]
  }

  private func kept<T>(_ all: [T]) -> [T] { all.indices.filter { !axes.contains($0) }.map { all[$0] } }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    let result = x.type.with(shape: kept(x.type.shape))
    let strides = result.strides
    // How far the result's offset moves with each axis of the operand.
    var (moves, next) = ([Int](repeating: 0, count: x.type.rank), 0)
    for axis in moves.indices where !axes.contains(axis) {
      moves[axis] = strides[next]
      next += 1
    }
    func offset(_ at: [Int]) -> Int { zip(at, moves).reduce(0) { $0 + $1.0 * $1.1 } }
    switch x.elements {
    case .floats(let values):
      var sums = [Double](repeating: kind.floatIdentity, count: result.count)
      for (value, at) in zip(values, Positions(of: x.type.shape)) {
        let place = offset(at)
        sums[place] = kind.combined(sums[place], value)
      }
      return [Literal(result, floats: sums)]
    case .integers(let values):
      var sums = [Int64](repeating: kind.integerIdentity(x.type.dtype), count: result.count)
      for (value, at) in zip(values, Positions(of: x.type.shape)) {
        let place = offset(at)
        sums[place] = kind.combined(sums[place], value)
      }
      return [Literal(result, integers: sums)]
    }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let (x, y) = (g.operands[0], g.results[0])
    let spread = Broadcast(axes: axes, shape: g.type(of: x).shape)
    if kind == .sum { return [try g.emit(spread, dy)] }
    let chosen = try g.emit(Compare(.equal), x, g.emit(spread, y))
    let number = try g.emit(Reduce(.sum, axes: axes), g.keep(g.constant(1, like: x), where: chosen))
    let share = try g.emit(spread, g.divide(dy, number))
    return [try g.keep(share, where: chosen)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let x = operands[0]
    return .formula { source, at in
      let extents = axes.map { x.shape[$0] }
      return source.reduce(kind, over: extents) { inner in
        var (outer, inside) = (at.makeIterator(), inner.makeIterator())
        let position = x.shape.indices.compactMap { axes.contains($0) ? inside.next() : outer.next() }
        return source.operand(0, at: position)
      }.wrapped(to: x.dtype)
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(.sum, axes: [1]), .f32(3, 7)), Sample(Self(.sum, axes: [0]), .f32(5, 3)), Sample(Self(.sum, axes: [0, 2]), .f32(2, 3, 5)),
    Sample(Self(.sum, axes: []), .f32(3)), Sample(Self(.sum, axes: [0]), .f32(0, 2)), Sample(Self(.sum, axes: [0]), .i64(5)),
    Sample(Self(.sum, axes: [1]), TensorType(.bf16, [2, 9])), Sample(Self(.sum, axes: [0]), TensorType(.u8, [200]), integersBelow: 200),
    Sample(Self(.maximum, axes: [1]), .f32(4, 5)), Sample(Self(.maximum, axes: [0, 1]), .i64(2, 3)),
    Sample(Self(.maximum, axes: [0]), .f32(0)), Sample(Self(.minimum, axes: [0]), .f32(6, 1)),
    Sample(Self(.minimum, axes: [0]), TensorType(.i32, [5])), Sample(Self(.any, axes: [0]), TensorType(.bool, [3, 4])),
    Sample(Self(.all, axes: [1]), TensorType(.bool, [3, 2])), Sample(Self(.all, axes: [0]), TensorType(.bool, [0])),
  ]
}

extension Reduction {
  var floatIdentity: Double {
    switch self {
    case .sum, .any, .all: 0
    case .maximum: -.infinity
    case .minimum: .infinity
    }
  }

  func integerIdentity(_ dtype: DType) -> Int64 {
    switch identity(ScalarType(dtype)) {
    case .integer(let value, _): value
    case .boolean(let value): value ? 1 : 0
    default: preconditionFailure("integers are reduced to integers")
    }
  }

  func combined(_ a: Double, _ b: Double) -> Double {
    switch self {
    case .sum: a + b
    case .maximum: BinaryFunction.maximum.of(a, b)
    case .minimum: BinaryFunction.minimum.of(a, b)
    case .any, .all: preconditionFailure("floats are neither true nor false")
    }
  }

  func combined(_ a: Int64, _ b: Int64) -> Int64 {
    switch self {
    case .sum: a &+ b
    case .maximum: max(a, b)
    case .minimum: min(a, b)
    case .any: a | b
    case .all: a & b
    }
  }
}
