import IR

/// The `k` largest elements along the last axis, largest first, and their places (i64).
///
/// Of equal elements the lower place comes first; a NaN is larger than any number. The gradient goes to the chosen elements.
public struct TopK: TensorOp {
  public var name: String { "top_k" }
  public let k: Int
  public init(_ k: Int) { self.k = k }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try expectNumeric(x, as: "x")
    try require(x.rank > 0, "wants a last axis, got \(x)")
    let extent = x.shape[x.rank - 1]
    try require(k >= 0 && k <= extent, "cannot take \(k) of the \(extent) elements along the last axis of \(x)")
    let shape = Array(x.shape.dropLast() + [k])
    return [x.with(shape: shape), TensorType(.i64, shape)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    operands[0].ranked(keeping: k, by: operands[0].comesBefore)
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { try scatterBack(&g) }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands[0]) } }

  /// Each line keeps its `k` largest so far in order; blocks with an element that beats the last of them are gone through.
  private func kernel(_ x: TensorType) -> Kernel {
    let b = KernelBuilder()
    let extent = x.shape[x.rank - 1]
    let lines = x.shape.dropLast().reduce(1, *)
    let result = x.with(shape: [lines, k])
    let (from, values) = (b.input("x", x), b.output("values", result))
    let places = b.output("indices", result.with(.i64))
    guard k > 0 else { return b.kernel(name) }
    let keptValues = b.buffer("kept", ScalarType(x.dtype).dtype, k, .local)
    let keptPlaces = b.buffer("places", .i64, k, .local)

    /// Puts an element among the first `kept`; all that it beats move one up, the one at `last` leaves.
    func insert(_ element: Scalar, _ place: Position, among kept: Position, last: Position) -> [Statement] {
      let rank = b.variable(.i64)
      let count = b.lanes(below: k, limit: kept) { other in
        let beaten = element.isLarger(than: b.load(keptValues, other))
        return [.accumulate(rank, .sum, .select(beaten, .int(0), .int(1)))]
      }
      let shift = b.loop(below: k, limit: last - Position(rank)) { step in
        let to = last - step
        return [
          .store(keptValues, to, b.load(keptValues, to + -1)), .store(keptPlaces, to, b.load(keptPlaces, to + -1)),
        ]
      }
      return [
        .accumulator(rank, .sum), count, shift, .store(keptValues, Position(rank), element),
        .store(keptPlaces, Position(rank), .position(place)),
      ]
    }

    b.stage(below: lines) { line in
      let start = line * extent
      let fill = b.loop(below: k) { place in
        let (define, element) = b.define(b.load(from, start + place))
        return [define] + insert(.variable(element), place, among: place, last: place)
      }
      func beatsLast(_ element: Scalar) -> Scalar { element.isLarger(than: b.load(keptValues, Position(k - 1))) }
      // The others in blocks: most have no element that beats the last one kept.
      let rest = extent - k
      let block = min(64, max(1, rest))
      let improve = b.loop(below: pieces(of: rest, by: block)) { number in
        let first = number * block + k
        let largest = b.variable(ScalarType(x.dtype))
        let scan = b.lanes(below: block, limit: Position(extent) - first) { step in
          [.accumulate(largest, .maximum, b.load(from, start + first + step))]
        }
        let improveBlock = b.loop(below: block, limit: Position(extent) - first) { step in
          let place = first + step
          let (define, element) = b.define(b.load(from, start + place))
          let put = insert(.variable(element), place, among: Position(k), last: Position(k - 1))
          return [define, .conditional(beatsLast(.variable(element)), put)]
        }
        return [.accumulator(largest, .maximum), scan, .conditional(beatsLast(.variable(largest)), [improveBlock])]
      }
      let write = b.lanes(below: k) { rank in
        let at = line * k + rank
        return [.store(values, at, b.load(keptValues, rank)), .store(places, at, b.load(keptPlaces, rank))]
      }
      return [fill, improve, write]
    }
    return b.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(3), .f32(4, 7)), Sample(Self(1), .f32(5)), Sample(Self(5), .f32(2, 3, 5)), Sample(Self(2), .i64(3, 9)),
    Sample(Self(0), .f32(2, 3)), Sample(Self(4), TensorType(.bf16, [2, 16])), Sample(Self(2), TensorType(.u8, [8])),
    Sample(Self(16), .f32(3, 100)), Sample(Self(0), .f32(2, 0)), Sample(Self(2), .f32(0, 5)), Sample(Self(3), TensorType(.i32, [2, 33])),
  ]
}

extension Literal {
  /// The elements along the last axis in an order, and their places; `comesBefore` compares two offsets. Stable.
  func ranked(keeping count: Int, by comesBefore: (Int, Int) -> Bool) -> [Literal] {
    let extent = type.shape[type.rank - 1]
    let batches = type.shape.dropLast().reduce(1, *)
    let offsets = (0..<batches).flatMap { batch in
      let line = Array((batch * extent)..<((batch + 1) * extent))
      return line.sorted { comesBefore($0, $1) || (!comesBefore($1, $0) && $0 < $1) }.prefix(count)
    }
    let shape = Array(type.shape.dropLast() + [count])
    let values = rearranged(to: [offsets.count]) { offsets[$0[0]] }.reshaped(to: shape)
    return [values, Literal(TensorType(.i64, shape), integers: offsets.map { Int64($0 % extent) })]
  }
}

/// The gradient of an op whose results are values picked along the last axis, and their places.
func scatterBack(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
  guard let dy = try g.floatUpstream() else { return g.none }
  let x = g.type(of: g.operands[0])
  return [try g.emit(ScatterElements(extent: x.shape[x.rank - 1]), g.results[1], dy)]
}
