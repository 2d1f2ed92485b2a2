import IR
import Ops
import Rewriting

extension Pattern {
  static let broadcastRules: [Pattern] = [
    emptyBroadcast, broadcastOfUnitAxes, broadcastOfConstant, broadcastOfBroadcast, broadcastOfReshape,
  ]

  /// A broadcast without new axes is its operand.
  private static let emptyBroadcast = Pattern("empty-broadcast", on: Broadcast.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.op.axes.isEmpty, "has new axes")
    return match[0]
  }

  /// New axes of one element only rename the elements' places: a reshape, which moves nothing.
  private static let broadcastOfUnitAxes = Pattern("broadcast-of-unit-axes", on: Broadcast.self) {
    match, rewriter throws(NoMatch) in
    let isUnit = match.op.axes.allSatisfy { match.op.shape[$0] == 1 }
    try rewriter.require(isUnit && !match.op.axes.isEmpty, "repeats elements")
    return try rewriter.emit(Reshape(shape: match.op.shape), match[0])
  }

  /// A constant repeated is a constant.
  private static let broadcastOfConstant = Pattern("broadcast-of-constant", on: Broadcast.self) {
    match, rewriter throws(NoMatch) in
    guard let constant = rewriter.constant(match[0]) else { throw NoMatch("not of a constant") }
    return try rewriter.emit(constant.shaped(match.op.shape))
  }

  /// `broadcast(broadcast(x)) → broadcast(x)`
  private static let broadcastOfBroadcast = Pattern("broadcast-of-broadcast", on: Broadcast.self) {
    outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Broadcast.self)
    // Where the inner result's axes lie in the outer one's.
    let kept = outer.op.shape.indices.filter { !outer.op.axes.contains($0) }
    let axes = outer.op.axes + inner.op.axes.map { kept[$0] }
    return try rewriter.emit(Broadcast(axes: axes, shape: outer.op.shape), inner[0])
  }

  /// `broadcast(reshape(x))`, where the reshape only inserts axes of one element `→ broadcast(x)`: those are new axes too.
  private static let broadcastOfReshape = Pattern("broadcast-of-reshape", on: Broadcast.self) {
    outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Reshape.self)
    guard let inserted = unitAxes(insertedInto: rewriter.type(of: inner[0]).shape, toMake: inner.op.shape) else {
      throw NoMatch("the reshape does more than insert axes")
    }
    let kept = outer.op.shape.indices.filter { !outer.op.axes.contains($0) }
    let axes = outer.op.axes + inserted.map { kept[$0] }
    return try rewriter.emit(Broadcast(axes: axes, shape: outer.op.shape), inner[0])
  }
}

/// The axes of `new` that are left when those of `old` are taken out in order, if all of them have one element.
func unitAxes(insertedInto old: [Int], toMake new: [Int]) -> [Int]? {
  var inserted: [Int] = []
  var next = 0
  for (axis, extent) in new.enumerated() {
    if next < old.count, old[next] == extent {
      next += 1
    } else if extent == 1 {
      inserted.append(axis)
    } else {
      return nil
    }
  }
  return next == old.count ? inserted : nil
}
