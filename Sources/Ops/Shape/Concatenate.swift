import IR

/// Joins tensors along an axis, in the order of the operands.
public struct Concatenate: TensorOp {
  public var name: String { "concatenate" }
  public let axis: Int
  public init(axis: Int) { self.axis = axis }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try require(!operands.isEmpty, "wants at least one operand")
    let first = operands[0]
    for (number, type) in operands.enumerated() { try expectDense(type, as: "operand \(number)") }
    try expectAxis(axis, of: first)
    var extent = 0
    for type in operands {
      var shape = type.shape
      try require(shape.count == first.rank && type.dtype == first.dtype, "cannot join \(first) and \(type)")
      // No overflow: every axis is below `largestCount`, and a program has far fewer than 2^16 operands.
      extent += shape[axis]
      shape[axis] = first.shape[axis]
      try require(shape == first.shape, "cannot join \(first) and \(type) along axis \(axis)")
      try require(extent <= largestCount, "has too many elements along axis \(axis)")
    }
    var shape = first.shape
    shape[axis] = extent
    return [try checked(first.with(shape: shape))]
  }

  /// Where each operand starts along the axis.
  private func starts(_ operands: [TensorType]) -> [Int] {
    var (starts, next) = ([Int](), 0)
    for type in operands {
      starts.append(next)
      next += type.shape[axis]
    }
    return starts
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let types = operands.map(\.type)
    var shape = types[0].shape
    shape[axis] = types.reduce(0) { $0 + $1.shape[axis] }
    let result = types[0].with(shape: shape)
    // Row-major: for each position before the axis, the operands' blocks one after the other.
    let outer = shape[..<axis].reduce(1, *)
    let blocks = types.map { $0.shape[axis...].reduce(1, *) }
    func joined<T>(_ parts: [[T]]) -> [T] {
      (0..<outer).flatMap { o in zip(parts, blocks).flatMap { part, block in part[(o * block)..<((o + 1) * block)] } }
    }
    return result.dtype.isFloat
      ? [Literal(result, floats: joined(operands.map(\.doubles)))]
      : [Literal(result, integers: joined(operands.map(\.integers)))]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    let types = g.operands.map { g.type(of: $0) }
    var gradients: [Value?] = []
    for (type, start) in zip(types, starts(types)) {
      var (from, to) = ([Int](repeating: 0, count: type.rank), type.shape)
      from[axis] = start
      to[axis] += start
      gradients.append(try g.emit(Slice(starts: from, limits: to), dy))
    }
    return gradients
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let parts = zip(operands.indices, starts(operands)).filter { operands[$0.0].shape[axis] > 0 }
    let type = ScalarType(operands[0].dtype)
    return .formula { source, at in
      func inner(_ start: Int) -> [Position] {
        var inner = at
        inner[axis] = at[axis] + -start
        return inner
      }
      // Only the operands that the range of the position can reach take part.
      let reach = at[axis].range
      let reached = parts.filter { number, start in
        guard let reach else { return true }
        return start <= reach.upperBound && start + operands[number].shape[axis] > reach.lowerBound
      }
      guard let (last, lastStart) = reached.last else { return .zero(type) }
      if reached.count == 1 { return source.operand(last, at: inner(lastStart)) }
      let place = Scalar.position(at[axis])
      var result = source.operand(
        last, at: inner(lastStart), where: .compare(.greaterOrEqual, place, .integer(Int64(lastStart), .i64)))
      for (number, start) in reached.dropLast().reversed() {
        let end = Int64(start + operands[number].shape[axis])
        let before = Scalar.compare(.less, place, .integer(end, .i64))
        let isFirst = number == reached[0].0
        let inside = isFirst ? before : .binary(.and, .compare(.greaterOrEqual, place, .integer(Int64(start), .i64)), before)
        result = .select(before, source.operand(number, at: inner(start), where: inside), result)
      }
      return result
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(axis: 0), .f32(2, 3), .f32(1, 3)), Sample(Self(axis: 1), .f32(2, 3), .f32(2, 0), .f32(2, 4)),
    Sample(Self(axis: 0), .i64(4)), Sample(Self(axis: 2), .f32(2, 1, 3), .f32(2, 1, 5)),
    Sample(Self(axis: 1), TensorType(.bool, [3, 1]), TensorType(.bool, [3, 2])), Sample(Self(axis: 0), .f32(0), .f32(0)),
    Sample(Self(axis: 0), TensorType(.f16, [3]), TensorType(.f16, [2]), TensorType(.f16, [1])),
  ]
}
