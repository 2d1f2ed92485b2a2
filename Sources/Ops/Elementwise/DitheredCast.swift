import IR

/// Rounds each element to bf16, up or down by chance: `y` is one of the two neighbours of `x`, the nearer one the likelier,
/// so that `y` is `x` on average and small changes of a weight add up instead of being lost.
///
/// The second operand gives each element its chance: 16 random bits, the lower half of an i32. They are added to the 16 bits
/// of `x` that bf16 does not have. Infinities and NaN stay what they are. Rounding up the largest numbers gives infinity.
public struct DitheredCast: TensorOp {
  public var name: String { "dithered_cast" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x", "bits")
    let (x, bits) = (operands[0], operands[1])
    try expectDense(x, as: "x")
    try require(x.dtype == .f32, "wants f32, got \(x)")
    try require(bits == x.with(.i32), "wants bits of type \(x.with(.i32)), got \(bits)")
    return [x.with(.bf16)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let rounded = zip(operands[0].doubles, operands[1].integers).map { x, bits -> Double in
      let value = Float(x)
      guard value.isFinite else { return x }
      let sum = value.bitPattern &+ (UInt32(truncatingIfNeeded: bits) & 0xffff)
      return Double(Float(bitPattern: sum & 0xffff_0000))
    }
    return [Literal(operands[0].type.with(.bf16), floats: rounded)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    if g.upstream[0] == nil { return g.none }
    throw Diagnostic("'dithered_cast' has no gradient", at: g.builder.location)
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    .formula { source, at in
      let x = source.operand(0, at: at)
      let chance = Scalar.binary(.and, source.operand(1, at: at), .integer(0xffff, .i32))
      let sum = Scalar.binary(.add, .bitcast(x, .i32), chance)
      let kept = Scalar.binary(.and, sum, .integer(Int64(Int32(bitPattern: 0xffff_0000)), .i32))
      let isFinite = Scalar.compare(.less, .unary(.absolute, x), .float(.infinity))
      return .round(.select(isFinite, .bitcast(kept, .f32), x), .bf16)
    }
  }

  public static let samples: [Sample] = [[3, 5], [], [0, 2], [1000]].map { shape in
    Sample(Self(), TensorType(.f32, shape), TensorType(.i32, shape), integersBelow: 1 << 16)
  }
}
