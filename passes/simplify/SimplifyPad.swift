import IR
import Ops
import Rewriting

extension Pattern {
  static let padRules: [Pattern] = [emptyPad, padOfZeros, padOfPad]

  private static let emptyPad = Pattern("empty-pad", on: Pad.self) { match, rewriter throws(NoMatch) in
    try rewriter.require((match.op.low + match.op.high).allSatisfy { $0 == 0 }, "adds zeros")
    return match[0]
  }

  private static let padOfZeros = Pattern("pad-of-zeros", on: Pad.self) { match, rewriter throws(NoMatch) in
    guard let constant = rewriter.constant(match[0]), constant.equals(0) else { throw NoMatch("not of zeros") }
    return try rewriter.emit(constant.shaped(rewriter.type(of: match.results[0]).shape))
  }

  /// `pad(pad(x)) → pad(x)`
  private static let padOfPad = Pattern("pad-of-pad", on: Pad.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Pad.self)
    let low = zip(outer.op.low, inner.op.low).map { $0 + $1 }
    let high = zip(outer.op.high, inner.op.high).map { $0 + $1 }
    return try rewriter.emit(Pad(low: low, high: high), inner[0])
  }

  /// `pad(x) + pad(y) → pad(concatenate(x, y))`, where `y` begins along one axis where `x` ends.
  ///
  /// The gradient of a tensor that was cut into slices is such a sum; every part is then written once.
  static let joinedPads = Pattern("joined-pads", on: Binary.self) { sum, rewriter throws(NoMatch) in
    try rewriter.require(sum.op.function == .add, "not a sum")
    let x = try rewriter.definition(of: sum[0], as: Pad.self)
    let y = try rewriter.definition(of: sum[1], as: Pad.self)
    try rewriter.require(rewriter.hasOneUse(sum[0]) && rewriter.hasOneUse(sum[1]), "a part has other readers")
    let shape = rewriter.type(of: sum[0]).shape
    for (first, second) in [(x, y), (y, x)] {
      let (a, b) = (first.op, second.op)
      // Along `axis` the first ends before the second begins, and they agree along the others.
      for axis in shape.indices where shape[axis] - a.high[axis] == b.low[axis] {
        let others = shape.indices.filter { $0 != axis }
        guard others.allSatisfy({ a.low[$0] == b.low[$0] && a.high[$0] == b.high[$0] }) else { continue }
        var high = a.high
        high[axis] = b.high[axis]
        let both = try rewriter.emit(Concatenate(axis: axis), first[0], second[0])
        return try rewriter.emit(Pad(low: a.low, high: high), both)
      }
    }
    throw NoMatch("the parts do not touch")
  }
}
