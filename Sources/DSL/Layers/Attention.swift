import IR

/// Multi-head attention, softmax(q·k / √w)·v with heads of width w, from `[batch, length, width]`.
///
/// Query head h reads key and value head h / (heads / keyHeads). The order is: projections, norms of q and k,
/// rotation, scores.
public struct Attention: Layer {
  public let query, key, value, output: Named<Linear>
  public let queryNorm, keyNorm: Named<RMSNorm>?
  public let heads, keyHeads, headWidth: Int
  /// Whether a position sees only itself and those before it.
  public let causal: Bool
  /// Base of the rotary positions; 0 for none.
  public let rotaryBase: Double

  /// - Parameters:
  ///   - keyHeads: heads of keys and values, a divisor of `heads`; as many if `nil`.
  ///   - headWidth: even if there are rotary positions; `width / heads` if `nil`.
  ///   - normalized: RMSNorm over the head width on queries and keys.
  public init(
    _ width: Int, heads: Int, keyHeads: Int? = nil, headWidth: Int? = nil, causal: Bool = true,
    rotaryBase: Double = 10000, bias: Bool = false, normalized: Bool = false, eps: Double = 1e-5,
    initial: Initial = .normal(0.02), outputInitial: Initial? = nil
  ) {
    self.heads = heads
    self.keyHeads = keyHeads ?? heads
    self.headWidth = headWidth ?? (heads > 0 ? width / heads : 0)
    self.causal = causal
    self.rotaryBase = rotaryBase
    let inner = heads.multipliedReportingOverflow(by: self.headWidth).partialValue
    let outer = self.keyHeads.multipliedReportingOverflow(by: self.headWidth).partialValue
    query = Linear(width, inner, bias: bias, initial: initial).named("query")
    key = Linear(width, outer, bias: bias, initial: initial).named("key")
    value = Linear(width, outer, bias: bias, initial: initial).named("value")
    output = Linear(inner, width, bias: bias, initial: outputInitial ?? initial).named("output")
    queryNorm = normalized ? RMSNorm(self.headWidth, eps: eps).named("query_norm") : nil
    keyNorm = normalized ? RMSNorm(self.headWidth, eps: eps).named("key_norm") : nil
  }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard isSound(for: x) else { return x.poisoned }
    let repeats = heads / keyHeads
    var q = query(x).split(into: [keyHeads, repeats, headWidth])
    var k = key(x).split(into: [keyHeads, headWidth])
    let v = value(x).split(into: [keyHeads, headWidth])
    if let queryNorm, let keyNorm { (q, k) = (queryNorm(q), keyNorm(k)) }
    if rotaryBase != 0 { (q, k) = (q.rotated(base: rotaryBase), k.rotated(base: rotaryBase)) }

    // b batch, g key head, r its query heads, t and s positions, w head width
    var scores = q.contract(k, "btgrw,bsgw->bgrts") / Double(headWidth).squareRoot()
    if causal {
      let isPast = scores.indices(along: -1) .<= scores.indices(along: -2)
      scores = isPast.select(scores, else: -1e30)
    }
    let mixed = scores.softmax().contract(v, "bgrts,bsgw->btgrw")
    return output(mixed.flattened(last: 3))
  }

  private func isSound(for x: Tensor) -> Bool {
    let trace = x.trace
    return trace.require(x.rank == 3, "attention wants [batch, length, width], got \(x.type)")
      && trace.require(rotaryBase >= 0, "the base of rotary positions is not negative, got \(rotaryBase)")
      && trace.require(heads > 0 && keyHeads > 0 && headWidth > 0, "attention wants at least one head, and a head width")
      && trace.require(heads % max(1, keyHeads) == 0, "\(keyHeads) key heads do not divide \(heads) heads")
      && trace.require(
        rotaryBase == 0 || headWidth % 2 == 0, "rotary positions want an even head width, got \(headWidth)")
  }
}

extension Tensor {
  /// Rotary positions in the halves convention: with (a, b) the halves of the last axis and θᵢ = base^(−i/(w/2)),
  ///
  ///     (a·cos − b·sin, b·cos + a·sin),   angle = position · θᵢ
  ///
  /// Positions count from 0 along axis 1.
  func rotated(base: Double) -> Tensor {
    let (length, half) = (extent(1), extent(-1) / 2)
    let pairs = split(into: [2, half])
    let (a, b) = (pairs.at(0, axis: -2), pairs.at(1, axis: -2))

    // One table of angles for all heads, and for all layers.
    let rate = naturalLogarithm(base) / Double(Swift.max(1, half))
    let positions = trace.iota(.f32(length)).insertingAxis(-1)
    let angle = positions * (trace.iota(.f32(half)) * -rate).exp()
    let table = [length] + [Int](repeating: 1, count: rank - 3) + [half]
    let cos = angle.cos().cast(to: dtype).reshaped(table)
    let sin = angle.sin().cast(to: dtype).reshaped(table)

    let turned = [a * cos - b * sin, b * cos + a * sin].map { $0.insertingAxis(-2) }
    return Tensor.concatenated(turned, axis: -2).reshaped(shape)
  }
}
