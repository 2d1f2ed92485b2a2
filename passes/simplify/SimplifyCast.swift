import IR
import Ops
import Rewriting

extension Pattern {
  static let castRules: [Pattern] = [castToOwnType, castOfCast]

  /// `cast(x: T → T) → x`
  private static let castToOwnType = Pattern("cast-to-own-type", on: Cast.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(rewriter.type(of: match[0]).dtype == match.op.dtype, "changes the type")
    return match[0]
  }

  /// `cast(cast(x: T → U) → V) → cast(x: T → V)` where U holds every number of T.
  private static let castOfCast = Pattern("cast-of-cast", on: Cast.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Cast.self)
    let from = rewriter.type(of: inner[0]).dtype
    try rewriter.require(inner.op.dtype.holdsAll(of: from), "the first cast rounds or cuts")
    return try rewriter.emit(outer.op, inner[0])
  }
}

extension DType {
  /// Whether every number of `other` is one of this type too.
  fileprivate func holdsAll(of other: DType) -> Bool {
    if self == other || other == .bool { return true }
    return switch (other, self) {
    case (.bf16, .f32), (.f16, .f32), (.i32, .i64), (.u8, .i32), (.u8, .i64), (.u8, .f32), (.u8, .bf16), (.u8, .f16): true
    default: false
    }
  }
}
