import IR

/// The index of the largest element along an axis, which vanishes: the lowest of several, a NaN before all numbers.
///
/// Reads its operand twice: once for the largest element and once for its place. The result is i64.
public struct ArgMax: TensorOp {
  public var name: String { "argmax" }
  public let axis: Int
  public init(axis: Int) { self.axis = axis }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try expectNumeric(x, as: "x")
    try expectAxis(axis, of: x)
    try require(x.shape[axis] > 0, "finds no largest element along the empty axis \(axis) of \(x)")
    var shape = x.shape
    shape.remove(at: axis)
    return [TensorType(.i64, shape)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    var shape = x.type.shape
    let extent = shape.remove(at: axis)
    return [Literal(TensorType(.i64, shape), integer: { at in
      let offsets = (0..<extent).map { x.offset(of: at[..<axis] + [$0] + at[axis...]) }
      return Int64(offsets.indices.dropFirst().reduce(0) { x.comesBefore(offsets[$1], offsets[$0]) ? $1 : $0 })
    })]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [nil] }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let extent = operands[0].shape[axis]
    let isFloat = operands[0].dtype.isFloat
    return .formula { source, at in
      func element(_ inner: [Position]) -> Scalar {
        source.operand(0, at: at[..<axis] + [inner[0]] + at[axis...])
      }
      let largest = source.reduce(.maximum, over: [extent], element)
      return source.reduce(.minimum, over: [extent]) { inner in
        let x = element(inner)
        var chosen = Scalar.compare(.equal, x, largest)
        // Only a NaN differs from itself; where the largest is NaN nothing equals it.
        if isFloat { chosen = .binary(.or, chosen, .compare(.notEqual, x, x)) }
        return .select(chosen, .position(inner[0]), .integer(Int64(extent), .i64))
      }
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(axis: 1), .f32(3, 7)), Sample(Self(axis: 0), .f32(5, 2)), Sample(Self(axis: 1), .i64(2, 9, 3)),
    Sample(Self(axis: 0), .f32(1)), Sample(Self(axis: 0), TensorType(.bf16, [6])), Sample(Self(axis: 0), TensorType(.u8, [5])),
    Sample(Self(axis: 1), .f32(0, 2)),
  ]
}

extension Literal {
  /// Whether the element at offset `a` is larger than the one at `b`; a NaN is larger than any number.
  func comesBefore(_ a: Int, _ b: Int) -> Bool {
    switch elements {
    case .floats(let values): values[a] > values[b] || (values[a].isNaN && !values[b].isNaN)
    case .integers(let values): values[a] > values[b]
    }
  }
}
