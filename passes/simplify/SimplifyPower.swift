import IR
import Ops
import Rewriting

extension Pattern {
  static let powerRules: [Pattern] = [smallPower]

  /// `x⁰ → 1`, `x² → x · x`, `x³ → x · (x · x)`, `x⁻¹ → 1 / x`
  ///
  /// Not `x^½ → √x`: they differ at −∞ and at −0.
  private static let smallPower = Pattern("small-power", on: Binary.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.op.function == .power, "not a power")
    let exponent = try rewriter.rightConstant(of: match)
    let x = match[0]
    switch exponent.value {
    case 0: return try rewriter.emit(exponent.with(1))
    case 2: return try rewriter.emit(Binary(.multiply), x, x)
    case 3 where exponent.type.dtype == .f32:
      return try rewriter.emit(Binary(.multiply), x, rewriter.emit(Binary(.multiply), x, x))
    case -1: return try rewriter.emit(Binary(.divide), rewriter.emit(exponent.with(1)), x)
    default: throw NoMatch("the exponent is not small")
    }
  }
}
