import IR
import Ops
import Rewriting

extension Pattern {
  static let reduceRules: [Pattern] = [
    emptyReduce, reduceOfUnitAxes, reduceOfConstant, reduceOfReduce, reduceOfBroadcast, reduceOfTranspose,
  ]

  private static let emptyReduce = Pattern("empty-reduce", on: Reduce.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.op.axes.isEmpty, "reduces axes")
    return match[0]
  }

  /// Reducing axes of one element drops them.
  private static let reduceOfUnitAxes = Pattern("reduce-of-unit-axes", on: Reduce.self) { match, rewriter throws(NoMatch) in
    let shape = rewriter.type(of: match[0]).shape
    try rewriter.require(match.op.axes.allSatisfy { shape[$0] == 1 }, "combines elements")
    return try rewriter.emit(Reshape(shape: rewriter.type(of: match.results[0]).shape), match[0])
  }

  /// The sum of `n` times a number is `n` times that number; the largest of them is that number.
  private static let reduceOfConstant = Pattern("reduce-of-constant", on: Reduce.self) { match, rewriter throws(NoMatch) in
    guard let constant = rewriter.constant(match[0]) else { throw NoMatch("not of a constant") }
    let shape = rewriter.type(of: match.results[0]).shape
    let count = match.op.axes.reduce(1) { $0 * constant.type.shape[$1] }
    try rewriter.require(count > 0, "of no elements")
    guard match.op.kind == .sum else { return try rewriter.emit(constant.shaped(shape)) }
    let one = constant.scalar
    let type = one.type.with(shape: shape)
    return try rewriter.emit(
      constant.isFloat
        ? Constant(only: Literal(one.type, floats: [one.float(at: 0) * Double(count)]), shape: shape)
        : Constant(integer: one.integer(at: 0) &* Int64(count), type))
  }

  /// `reduce(reduce(x)) → reduce(x)` of one kind; sums of f16 and bf16 stay, since each is rounded.
  private static let reduceOfReduce = Pattern("reduce-of-reduce", on: Reduce.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Reduce.self)
    try rewriter.require(inner.op.kind == outer.op.kind, "two kinds of reduction")
    try rewriter.require(rewriter.hasOneUse(outer[0]), "the inner reduction has other readers")
    let type = rewriter.type(of: inner[0])
    try rewriter.require(outer.op.kind != .sum || !type.dtype.isHalf, "each sum is rounded")
    let kept = type.shape.indices.filter { !inner.op.axes.contains($0) }
    return try rewriter.emit(Reduce(outer.op.kind, axes: inner.op.axes + outer.op.axes.map { kept[$0] }), inner[0])
  }

  /// A reduction of repeated elements works on the elements once: `Σ broadcast(x) → broadcast(Σ x · n)`.
  private static let reduceOfBroadcast = Pattern("reduce-of-broadcast", on: Reduce.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Broadcast.self)
    let (new, reduced) = (Set(inner.op.axes), Set(outer.op.axes))
    let shape = inner.op.shape
    let count = new.intersection(reduced).reduce(1) { $0 * shape[$1] }
    try rewriter.require(count > 0, "of no elements")
    let kept = shape.indices.filter { !new.contains($0) }
    let axes = kept.indices.filter { reduced.contains(kept[$0]) }
    let type = rewriter.type(of: inner[0])
    let isRoundedTwice = type.dtype.isHalf && outer.op.kind == .sum && count > 1 && !axes.isEmpty
    try rewriter.require(!isRoundedTwice, "the sum would be rounded twice")
    var x = try rewriter.emit(Reduce(outer.op.kind, axes: axes), inner[0])
    if outer.op.kind == .sum && count > 1 {
      let small = rewriter.type(of: x)
      let times = small.dtype.isFloat ? Constant(Double(count), small) : Constant(integer: Int64(count), small)
      x = try rewriter.emit(Binary(.multiply), x, rewriter.emit(times))
    }
    let left = shape.indices.filter { !reduced.contains($0) }
    let axesLeft = left.indices.filter { new.contains(left[$0]) }
    return try rewriter.emit(Broadcast(axes: axesLeft, shape: left.map { shape[$0] }), x)
  }

  /// `reduce(transpose(x)) → transpose(reduce(x))`: fewer elements move, or none.
  private static let reduceOfTranspose = Pattern("reduce-of-transpose", on: Reduce.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Transpose.self)
    let permutation = inner.op.permutation
    let reduced = try rewriter.emit(Reduce(outer.op.kind, axes: outer.op.axes.map { permutation[$0] }), inner[0])
    let left = permutation.indices.filter { !outer.op.axes.contains($0) }.map { permutation[$0] }
    let order = left.sorted()
    return try rewriter.emit(Transpose(permutation: left.map { order.firstIndex(of: $0)! }), reduced)
  }
}

extension DType {
  /// Whether numbers are rounded to 16 bits when they are stored.
  var isHalf: Bool { self == .bf16 || self == .f16 }
}
