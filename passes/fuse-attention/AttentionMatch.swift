import IR
import Ops
import Rewriting

/// Two contractions with a softmax between them, as an attention of queries, keys and values.
///
/// The axes fall into those before the positions (batch), those that queries and keys share (groups), those of the queries
/// alone (repeats) and the width; each may be several axes, or none, in this order.
struct AttentionMatch {
  let query, key, value: Value
  private(set) var scale = 1.0
  private(set) var isCausal = false
  let queryShape, keyShape, valueShape: [Int]

  init(_ mix: Match<Contract>, _ rewriter: Rewriter) throws(NoMatch) {
    let weights = try rewriter.definition(of: mix[0], as: Binary.self)
    try rewriter.require(weights.op == Binary(.divide), "what is mixed is no quotient")
    try rewriter.require(rewriter.hasOneUse(mix[0]), "the weights have other readers")
    let powers = try rewriter.definition(of: weights[0], as: Unary.self)
    try rewriter.require(powers.op == Unary(.exponential), "the weights are no exponentials")
    let last = rewriter.type(of: mix[0]).rank - 1
    try rewriter.require(last >= 1, "the scores are no matrix")
    let total = try AttentionMatch.reduced(weights[1], rewriter)
    try rewriter.require(total.op == Reduce(.sum, axes: [last]) && total[0] == weights[0], "it is no sum along the last axis")
    let shifted = try rewriter.definition(of: powers[0], as: Binary.self)
    try rewriter.require(shifted.op == Binary(.subtract), "no maximum is taken off")
    let largest = try AttentionMatch.reduced(shifted[1], rewriter)
    try rewriter.require(
      largest.op == Reduce(.maximum, axes: [last]) && largest[0] == shifted[0], "it is no maximum along the last axis")

    var scores = shifted[0]
    var causalAxis: Int?
    if let masked = rewriter.find(scores, as: Select.self) {
      causalAxis = try AttentionMatch.causalAxis(masked, last, rewriter)
      scores = masked[1]
    }
    if let scaled = rewriter.find(scores, as: Binary.self), let factor = rewriter.number(scaled[1]) {
      try rewriter.require(scaled.op == Binary(.multiply) || scaled.op == Binary(.divide), "the scores are not scaled")
      scale = scaled.op == Binary(.divide) ? 1 / factor : factor
      scores = scaled[0]
    }
    let score = try rewriter.definition(of: scores, as: Contract.self)
    (query, key, value) = (score[0], score[1], mix[1])
    isCausal = causalAxis != nil
    let axes = try AttentionAxes(score.op.labels, mix.op.labels, causalAxis: causalAxis)
    let extents = axes.labels.extents(rewriter.type(of: query), rewriter.type(of: key))
    func size(_ labels: [Character]) -> Int { labels.reduce(1) { $0 * (extents[$1] ?? 1) } }
    let width = rewriter.type(of: value).shape.last ?? 1
    queryShape = [axes.batch, [axes.query], axes.groups, axes.repeats, axes.width].map(size)
    keyShape = [axes.batch, [axes.key], axes.groups, axes.width].map(size)
    valueShape = Array(keyShape.prefix(3)) + [width]
    try rewriter.require(keyShape[1] >= AttentionMatch.fewestKeys, "scores of so few keys stay in the cache")
  }

  /// With fewer keys the products of a head are so small that the loops around them cost more than the scores' way to memory.
  private static let fewestKeys = 64

  /// The reduction whose result is spread over the last axis again.
  private static func reduced(_ value: Value, _ rewriter: Rewriter) throws(NoMatch) -> Match<Reduce> {
    var value = value
    while true {
      if let match = rewriter.find(value, as: Broadcast.self) { value = match[0] }
      else if let match = rewriter.find(value, as: Reshape.self) { value = match[0] }
      else if let match = rewriter.find(value, as: StopGradient.self) { value = match[0] }
      else { return try rewriter.definition(of: value, as: Reduce.self) }
    }
  }

  /// The axis of the queries' positions, if what is hidden are the keys after them.
  private static func causalAxis(_ masked: Match<Select>, _ last: Int, _ rewriter: Rewriter) throws(NoMatch) -> Int {
    guard let hidden = rewriter.number(masked[2]), hidden <= -1e9 else { throw NoMatch("what is hidden is no large number") }
    let mask = try rewriter.definition(of: masked[0], as: Compare.self)
    let first = try rewriter.definition(of: mask[0], as: Iota.self), second = try rewriter.definition(of: mask[1], as: Iota.self)
    switch mask.op.comparison {
    case .lessOrEqual where first.op.axis == last && second.op.axis != last: return second.op.axis
    case .greaterOrEqual where second.op.axis == last && first.op.axis != last: return first.op.axis
    default: throw NoMatch("the mask is not causal")
    }
  }
}

extension Rewriter {
  /// The number a tensor is full of.
  fileprivate func number(_ value: Value) -> Double? { find(value, as: Constant.self)?.op.value }
}

/// The labels of the scores' equation by what they mean.
private struct AttentionAxes {
  let labels: Equation
  private(set) var batch: [Character] = [], groups: [Character] = [], repeats: [Character] = [], width: [Character] = []
  let query, key: Character

  /// - Parameter causalAxis: the axis of the scores that counts the queries; the first that only queries have if `nil`.
  init(_ scores: Equation, _ mix: Equation, causalAxis: Int?) throws(NoMatch) {
    labels = scores
    guard let last = scores.result.last, !scores.a.contains(last), scores.b.contains(last) else {
      throw NoMatch("the last axis of the scores is not the keys'")
    }
    key = last
    width = scores.summed
    let own = scores.result.filter { scores.a.contains($0) && !scores.b.contains($0) }
    let position = causalAxis.map { scores.result[$0] } ?? scores.a.first { own.contains($0) }
    guard let query = position, own.contains(query) else { throw NoMatch("queries have no positions of their own") }
    self.query = query
    let shared = scores.a.filter { scores.b.contains($0) && scores.result.contains($0) }
    guard let cut = scores.a.firstIndex(of: query) else { throw NoMatch("queries have no positions") }
    batch = shared.filter { scores.a.firstIndex(of: $0)! < cut }
    groups = shared.filter { !batch.contains($0) }
    repeats = own.filter { $0 != query }
    // The names of the second equation, by the axes of the scores.
    guard mix.a.count == scores.result.count else { throw NoMatch("the weights are no scores") }
    let names = Dictionary(uniqueKeysWithValues: zip(scores.result, mix.a))
    func renamed(_ list: [Character]) -> [Character] { list.compactMap { names[$0] } }
    let mixed = mix.b.filter { !mix.a.contains($0) }
    let isInOrder =
      scores.a == batch + [query] + groups + repeats + width && scores.b == batch + [key] + groups + width
      && mixed.count == 1 && mix.b == renamed(batch + [key] + groups) + mixed
      && mix.result == renamed(batch + [query] + groups + repeats) + mixed
    guard isInOrder else { throw NoMatch("axes are not in the order batch, positions, groups, repeats, width") }
  }
}
