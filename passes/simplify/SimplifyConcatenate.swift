import IR
import Ops
import Rewriting

extension Pattern {
  static let concatenateRules: [Pattern] = [
    concatenateOfOne, emptyPart, concatenateOfConstants, concatenateOfConcatenate, concatenateOfSlices,
  ]

  private static let concatenateOfOne = Pattern("concatenate-of-one", on: Concatenate.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match.operands.count == 1, "has several parts")
    return match[0]
  }

  /// Parts without elements go.
  private static let emptyPart = Pattern("empty-part", on: Concatenate.self) { match, rewriter throws(NoMatch) in
    let parts = match.operands.filter { rewriter.type(of: $0).shape[match.op.axis] > 0 }
    try rewriter.require(parts.count < match.operands.count && !parts.isEmpty, "has no part to leave out")
    return try rewriter.emit(match.op, parts)[0]
  }

  /// Parts that are all one number make a constant.
  private static let concatenateOfConstants = Pattern("concatenate-of-constants", on: Concatenate.self) {
    match, rewriter throws(NoMatch) in
    let constants = match.operands.compactMap { rewriter.constant($0)?.shaped([]) }
    try rewriter.require(constants.count == match.operands.count && Set(constants).count == 1, "not all one number")
    return try rewriter.emit(constants[0].shaped(rewriter.type(of: match.results[0]).shape))
  }

  /// `concatenate(x, concatenate(y, z)) → concatenate(x, y, z)` along one axis
  private static let concatenateOfConcatenate = Pattern("concatenate-of-concatenate", on: Concatenate.self) {
    outer, rewriter throws(NoMatch) in
    var parts: [Value] = []
    for part in outer.operands {
      if let inner = rewriter.find(part, as: Concatenate.self), inner.op == outer.op, rewriter.hasOneUse(part) {
        parts += inner.operands
      } else {
        parts.append(part)
      }
    }
    try rewriter.require(parts.count > outer.operands.count, "no part is a concatenation of its own")
    return try rewriter.emit(outer.op, parts)[0]
  }

  /// Neighbouring slices of one tensor are one slice.
  private static let concatenateOfSlices = Pattern("concatenate-of-slices", on: Concatenate.self) {
    match, rewriter throws(NoMatch) in
    let axis = match.op.axis
    var parts: [(slice: Match<Slice>?, value: Value)] = []
    var merged = false
    for part in match.operands {
      let slice = rewriter.find(part, as: Slice.self)
      guard let slice, let last = parts.last?.slice, let joined = last.op.joined(slice.op, axis: axis), last[0] == slice[0]
      else {
        parts.append((slice, part))
        continue
      }
      merged = true
      let value = try rewriter.emit(joined, slice[0])
      // What was just built joins no further: the rule runs again.
      parts[parts.count - 1] = (nil, value)
    }
    try rewriter.require(merged, "no neighbouring slices")
    return try rewriter.emit(match.op, parts.map(\.value))[0]
  }
}

extension Slice {
  /// The slice of both, if the other begins along `axis` where this one ends and they agree along all other axes.
  fileprivate func joined(_ other: Slice, axis: Int) -> Slice? {
    guard strides == nil, other.strides == nil, limits[axis] == other.starts[axis] else { return nil }
    var limits = limits
    limits[axis] = other.limits[axis]
    var starts = other.starts
    starts[axis] = self.starts[axis]
    return starts == self.starts && limits == other.limits ? Slice(starts: starts, limits: limits) : nil
  }
}
