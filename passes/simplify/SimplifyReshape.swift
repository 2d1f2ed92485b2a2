import IR
import Ops
import Rewriting

extension Pattern {
  static let reshapeRules: [Pattern] = [reshapeToOwnShape, reshapeOfConstant, reshapeOfReshape, reshapeOfBroadcast]

  private static let reshapeToOwnShape = Pattern("reshape-to-own-shape", on: Reshape.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(rewriter.type(of: match[0]).shape == match.op.shape, "changes the shape")
    return match[0]
  }

  private static let reshapeOfConstant = Pattern("reshape-of-constant", on: Reshape.self) { match, rewriter throws(NoMatch) in
    guard let constant = rewriter.constant(match[0]) else { throw NoMatch("not of a constant") }
    return try rewriter.emit(constant.shaped(match.op.shape))
  }

  /// `reshape(reshape(x)) → reshape(x)`
  private static let reshapeOfReshape = Pattern("reshape-of-reshape", on: Reshape.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Reshape.self)
    return try rewriter.emit(outer.op, inner[0])
  }

  /// `reshape(broadcast(x))`, where the reshape only inserts or drops axes of one element `→ broadcast(reshape(x))`.
  private static let reshapeOfBroadcast = Pattern("reshape-of-broadcast", on: Reshape.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Broadcast.self)
    let (old, new) = (inner.op.shape, outer.op.shape)
    let wide = old.indices.filter { old[$0] != 1 }
    try rewriter.require(wide.map { old[$0] } == new.filter { $0 != 1 }, "the reshape does more than insert and drop axes")
    var axes: [Int] = []
    var next = 0
    for (axis, extent) in new.enumerated() {
      guard extent != 1 else {
        axes.append(axis)
        continue
      }
      if inner.op.axes.contains(wide[next]) { axes.append(axis) }
      next += 1
    }
    let small = rewriter.type(of: inner[0]).shape.filter { $0 != 1 }
    return try rewriter.emit(Broadcast(axes: axes, shape: new), rewriter.emit(Reshape(shape: small), inner[0]))
  }
}
