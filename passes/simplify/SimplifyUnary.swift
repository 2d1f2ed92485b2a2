import IR
import Ops
import Rewriting

extension Pattern {
  static let unaryRules: [Pattern] = [involution, repeated, absoluteOfNegated, negatedDifference, negatedProduct]

  /// `−(−x) → x`, `not(not x) → x`
  private static let involution = Pattern("twice", on: Unary.self) { outer, rewriter throws(NoMatch) in
    let isInvolution = outer.op.function == .negate || outer.op.function == .not
    try rewriter.require(isInvolution, "doing it twice is not doing nothing")
    let inner = try rewriter.definition(of: outer[0], as: Unary.self)
    try rewriter.require(inner.op == outer.op, "not the same function twice")
    return inner[0]
  }

  /// `|(|x|)| → |x|`, `⌊⌊x⌋⌋ → ⌊x⌋`
  private static let repeated = Pattern("repeated", on: Unary.self) { outer, rewriter throws(NoMatch) in
    let isIdempotent = outer.op.function == .absolute || outer.op.function == .floor
    try rewriter.require(isIdempotent, "doing it twice is not doing it once")
    let inner = try rewriter.definition(of: outer[0], as: Unary.self)
    try rewriter.require(inner.op == outer.op, "not the same function twice")
    return outer[0]
  }

  /// `|−x| → |x|`
  private static let absoluteOfNegated = Pattern("absolute-of-negated", on: Unary.self) { outer, rewriter throws(NoMatch) in
    try rewriter.require(outer.op.function == .absolute, "not an absolute value")
    let inner = try rewriter.definition(of: outer[0], as: Unary.self)
    try rewriter.require(inner.op.function == .negate, "not of a negated value")
    return try rewriter.emit(outer.op, inner[0])
  }

  /// `−(x − y) → y − x`
  private static let negatedDifference = Pattern("negated-difference", on: Unary.self) { outer, rewriter throws(NoMatch) in
    try rewriter.require(outer.op.function == .negate, "not negated")
    let difference = try rewriter.definition(of: outer[0], as: Binary.self)
    try rewriter.require(difference.op.function == .subtract, "not a difference")
    try rewriter.require(rewriter.hasOneUse(outer[0]), "the difference has other readers")
    return try rewriter.emit(Binary(.subtract), difference[1], difference[0])
  }

  /// `−(x · c) → x · (−c)`
  private static let negatedProduct = Pattern("negated-product", on: Unary.self) { outer, rewriter throws(NoMatch) in
    try rewriter.require(outer.op.function == .negate, "not negated")
    let product = try rewriter.definition(of: outer[0], as: Binary.self)
    try rewriter.require(product.op.function == .multiply, "not a product")
    try rewriter.require(rewriter.hasOneUse(outer[0]), "the product has other readers")
    let (constant, x) = try rewriter.constantAndOther(of: product)
    try rewriter.require(constant.isFloat, "not of floats")
    return try rewriter.emit(Binary(.multiply), x, rewriter.emit(constant.with(-constant.value)))
  }
}
