import IR

/// A tensor that counts along one axis: `y[…, i, …] = i`.
public struct Iota: TensorOp {
  public var name: String { "iota" }
  public let axis: Int
  public let type: TensorType
  public init(axis: Int, type: TensorType) {
    self.axis = axis
    self.type = type
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands)
    try expectDense(type, as: "its type")
    try expectNumeric(type, as: "its type")
    try expectAxis(axis, of: type)
    return [type]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    type.dtype.isFloat ? [Literal(type) { Double($0[axis]) }] : [Literal(type, integer: { Int64($0[axis]) })]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [] }

  public func lower(_ operands: [TensorType]) -> Lowering {
    .formula { _, at in
      let count = Scalar.position(at[axis])
      switch type.dtype {
      case .i64, .bool: return count
      case .i32: return .convert(count, .i32)
      case .u8: return Scalar.convert(count, .i32).wrapped(to: .u8)
      case .f32: return .convert(count, .f32)
      case .bf16, .f16: return .round(.convert(count, .f32), type.dtype)
      }
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(axis: 0, type: .i64(5))), Sample(Self(axis: 1, type: .f32(3, 7))), Sample(Self(axis: 0, type: .f32(3, 1))),
    Sample(Self(axis: 1, type: TensorType(.i32, [2, 3, 2]))), Sample(Self(axis: 0, type: TensorType(.u8, [260]))),
    Sample(Self(axis: 0, type: TensorType(.bf16, [300]))), Sample(Self(axis: 0, type: .i64(0))),
  ]
}
