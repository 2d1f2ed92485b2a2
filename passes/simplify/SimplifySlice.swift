import IR
import Ops
import Rewriting

extension Pattern {
  static let sliceRules: [Pattern] = [
    wholeSlice, sliceOfConstant, sliceOfSlice, sliceOfBroadcast, sliceOfConcatenate, sliceOfPad,
  ]

  private static let wholeSlice = Pattern("whole-slice", on: Slice.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(rewriter.type(of: match[0]) == rewriter.type(of: match.results[0]), "leaves something out")
    return match[0]
  }

  private static let sliceOfConstant = Pattern("slice-of-constant", on: Slice.self) { match, rewriter throws(NoMatch) in
    guard let constant = rewriter.constant(match[0]) else { throw NoMatch("not of a constant") }
    return try rewriter.emit(constant.shaped(rewriter.type(of: match.results[0]).shape))
  }

  /// `slice(slice(x)) → slice(x)`
  private static let sliceOfSlice = Pattern("slice-of-slice", on: Slice.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Slice.self)
    let shape = rewriter.type(of: outer.results[0]).shape
    let starts = shape.indices.map { inner.op.starts[$0] + outer.op.starts[$0] * inner.op.step($0) }
    let steps = shape.indices.map { inner.op.step($0) * outer.op.step($0) }
    let limits = shape.indices.map { shape[$0] == 0 ? starts[$0] : starts[$0] + (shape[$0] - 1) * steps[$0] + 1 }
    return try rewriter.emit(Slice(starts: starts, limits: limits, strides: steps), inner[0])
  }

  /// `slice(broadcast(x)) → broadcast(slice(x))`, and without the slice where it cuts only new axes.
  private static let sliceOfBroadcast = Pattern("slice-of-broadcast", on: Slice.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Broadcast.self)
    let kept = inner.op.shape.indices.filter { !inner.op.axes.contains($0) }
    let slice = Slice(
      starts: kept.map { outer.op.starts[$0] }, limits: kept.map { outer.op.limits[$0] },
      strides: kept.map { outer.op.step($0) })
    let shape = rewriter.type(of: outer.results[0]).shape
    return try rewriter.emit(Broadcast(axes: inner.op.axes, shape: shape), rewriter.emit(slice, inner[0]))
  }

  /// A slice that lies within one part of a concatenation is a slice of that part.
  private static let sliceOfConcatenate = Pattern("slice-of-concatenate", on: Slice.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Concatenate.self)
    let axis = inner.op.axis
    var start = 0
    for part in inner.operands {
      let end = start + rewriter.type(of: part).shape[axis]
      if outer.op.starts[axis] >= start, outer.op.limits[axis] <= end {
        var (starts, limits) = (outer.op.starts, outer.op.limits)
        starts[axis] -= start
        limits[axis] -= start
        return try rewriter.emit(Slice(starts: starts, limits: limits, strides: outer.op.strides), part)
      }
      start = end
    }
    throw NoMatch("needs several parts")
  }

  /// A slice of what was there before a pad is a slice of that.
  private static let sliceOfPad = Pattern("slice-of-pad", on: Slice.self) { outer, rewriter throws(NoMatch) in
    let inner = try rewriter.definition(of: outer[0], as: Pad.self)
    let (shape, low) = (rewriter.type(of: inner[0]).shape, inner.op.low)
    let starts = shape.indices.map { outer.op.starts[$0] - low[$0] }
    let limits = shape.indices.map { outer.op.limits[$0] - low[$0] }
    let isInside = shape.indices.allSatisfy { starts[$0] >= 0 && limits[$0] <= shape[$0] }
    try rewriter.require(isInside, "needs some of the zeros")
    return try rewriter.emit(Slice(starts: starts, limits: limits, strides: outer.op.strides), inner[0])
  }
}

extension Slice {
  /// How far the slice goes with each step along an axis.
  func step(_ axis: Int) -> Int { strides?[axis] ?? 1 }
}
