import IR

/// Converts each element to another type.
///
/// Floats become integers towards zero, at most the target's limits, NaN becomes 0; integers wrap around; bool is
/// "not zero" and 0 or 1; f16 and bf16 are rounded to nearest, ties to even.
public struct Cast: TensorOp {
  public var name: String { "cast" }
  public let dtype: DType
  public init(_ dtype: DType) { self.dtype = dtype }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    return [operands[0].with(dtype)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (x, result) = (operands[0], operands[0].type.with(dtype))
    switch x.elements {
    case .floats(let values):
      if dtype.isFloat { return [Literal(result, floats: values)] }
      return [Literal(result, integers: values.map(saturated))]
    case .integers(let values):
      if dtype.isFloat { return [Literal(result, floats: values.map(Double.init))] }
      return [Literal(result, integers: values)]
    }
  }

  private func saturated(_ x: Double) -> Int64 {
    if dtype == .bool { return x != 0 ? 1 : 0 }
    if x.isNaN { return 0 }
    let (low, high) = limits
    if x <= Double(low) { return low }
    if x >= Double(high) { return high }
    return Int64(x)
  }

  private var limits: (Int64, Int64) {
    switch dtype {
    case .u8: (0, 255)
    case .i32: (Int64(Int32.min), Int64(Int32.max))
    default: (.min, .max)
    }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    let x = g.type(of: g.operands[0])
    guard x.dtype.isFloat, let dy = try g.floatUpstream() else { return [nil] }
    return [try g.emit(Cast(x.dtype), dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let from = operands[0].dtype
    return .formula { source, at in convert(source.operand(0, at: at), from: from) }
  }

  private func convert(_ x: Scalar, from: DType) -> Scalar {
    let target = ScalarType(dtype)
    let converted = x.type == target ? x : .convert(x, target)
    switch dtype {
    case .bf16, .f16: return from == dtype ? x : .round(converted, dtype)
    case .u8 where from.isFloat:
      let capped = Scalar.binary(.minimum, converted, .integer(255, .i32))
      return .binary(.maximum, capped, .integer(0, .i32))
    case .u8: return from == .u8 || from == .bool ? converted : converted.wrapped(to: .u8)
    case .f32, .i32, .i64, .bool: return converted
    }
  }

  public static let samples: [Sample] = DType.allCases.flatMap { from in
    DType.allCases.map { Sample(Self($0), TensorType(from, [3, 5]), integersBelow: 1000) }
  } + [Sample(Self(.i64), .f32(0)), Sample(Self(.bf16), .f32())]
}
