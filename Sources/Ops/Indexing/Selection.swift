import IR

/// The kernel of `TopK`: each line keeps its `k` largest so far in order, the first `k` to begin with.
///
/// Of random elements about `k·log(n / k)` of n would be put in, each by moving what it beats in vectors. Where lines are
/// long, most elements are kept away by a bound: the line is cut into at least 2k groups, and the `k`th largest of their
/// maxima is no larger than the `k`th largest element. Maxima and comparison with the bound are vectors; of 1024 random
/// elements and `k` = 32 about 43 remain. So few are kept that many lines have room next to each other on a GPU; a line
/// with more of them, of equal elements for one, is gone through as it is.
struct Selection {
  private let k: Int
  private let extent: Int
  private let lines: Int
  private let b: KernelBuilder
  private let type: ScalarType
  /// The elements kept and their places, and where they are built anew.
  private let kept, places, newKept, newPlaces: BufferID
  private let placeType: ScalarType

  init(_ x: TensorType, _ k: Int, _ b: KernelBuilder) {
    self.k = k
    self.b = b
    extent = x.shape[x.rank - 1]
    lines = x.shape.dropLast().reduce(1, *)
    type = ScalarType(x.dtype)
    placeType = extent <= Int(Int32.max) ? .i32 : .i64
    kept = b.buffer("kept", type.dtype, k, .local)
    places = b.buffer("places", placeType.dtype, k, .local)
    newKept = b.buffer("new_kept", type.dtype, k, .local)
    newPlaces = b.buffer("new_places", placeType.dtype, k, .local)
  }

  /// What is selected from: elements and their places in the line.
  private struct Elements {
    let element: (Position) -> Scalar
    let place: (Position) -> Scalar
    /// How many there are, if not all of the line's.
    let count: Position?
  }

  func emit(_ source: BufferID, into values: BufferID, _ indices: BufferID) {
    let bound = Bound(extent: extent, k: k, b, type, placeType)
    b.stage(below: lines) { line in
      let start = line * extent
      let all = Elements(element: { b.load(source, start + $0) }, place: number, count: nil)
      let write = b.lanes(below: k) { rank in
        [.store(values, line * k + rank, b.load(kept, rank)), .store(indices, line * k + rank, b.load(places, rank).wide)]
      }
      let plainly = [order(all), improveByBlocks(all)]
      guard let bound else { return plainly + [write] }
      let (collect, count) = bound.collect(from: all.element, places: all.place)
      let candidates = Elements(
        element: { b.load(bound.candidates, $0) }, place: { b.load(bound.candidatePlaces, $0) }, count: Position(count))
      let briefly = [order(candidates), improve(candidates, below: bound.capacity)]
      let fits = Scalar.compare(.lessOrEqual, .variable(count), .int(bound.capacity))
      return collect + [.conditional(fits, briefly), .conditional(.unary(.not, fits), plainly), write]
    }
  }

  private func number(_ position: Position) -> Scalar {
    placeType == .i64 ? .position(position) : .convert(.position(position), .i32)
  }

  /// Orders the first `k` elements: the rank of each is the number of those before it.
  private func order(_ elements: Elements) -> Statement {
    b.loop(below: k) { own in
      let (define, element) = b.define(elements.element(own))
      let (count, rank) = rank(of: .variable(element), at: own, elements)
      let (widen, at) = b.define(Scalar.variable(rank).wide)
      let put: [Statement] = [
        .store(kept, Position(at), .variable(element)), .store(places, Position(at), elements.place(own)),
      ]
      return [define] + count + [widen] + put
    }
  }

  /// Counts which of the first `k` stand before one of them in descending order, equal ones by their places.
  private func rank(
    of element: Scalar, at own: Position, _ elements: Elements
  ) -> (statements: [Statement], rank: Variable) {
    let rank = b.variable(.i32)
    let count = b.lanes(below: k) { other in
      let (define, rival) = b.define(elements.element(other))
      let isEarlier = Scalar.compare(.less, .convert(.position(other), .i32), .convert(.position(own), .i32))
      let isBefore = element.comesAfter(.variable(rival), ifEarlier: isEarlier) { $0.isLarger(than: $1) }
      return [define, .accumulate(rank, .sum, .select(isBefore, .integer(1, .i32), .zero(.i32)))]
    }
    return ([.accumulator(rank, .sum), count], rank)
  }

  private func beatsLast(_ element: Variable) -> Scalar {
    Scalar.variable(element).isLarger(than: b.load(kept, Position(k - 1)))
  }

  /// Puts in what else beats the last one kept, element by element.
  private func improve(_ elements: Elements, below capacity: Int) -> Statement {
    b.loop(below: capacity - k, limit: elements.count.map { $0 + -k }) { step in
      let (define, element) = b.define(elements.element(step + k))
      return [define, .conditional(beatsLast(element), insert(.variable(element), elements.place(step + k)))]
    }
  }

  /// The same; only a block with an element that beats the last one is gone through.
  private func improveByBlocks(_ elements: Elements) -> Statement {
    let block = min(64, max(1, extent - k))
    return b.loop(below: pieces(of: extent - k, by: block)) { number in
      let first = number * block + k
      let largest = b.variable(type)
      let scan = b.lanes(below: block, limit: Position(extent) - first) { step in
        [.accumulate(largest, .maximum, elements.element(first + step))]
      }
      let enter = b.loop(below: block, limit: Position(extent) - first) { step in
        let (define, element) = b.define(elements.element(first + step))
        return [define, .conditional(beatsLast(element), insert(.variable(element), elements.place(first + step)))]
      }
      return [.accumulator(largest, .maximum), scan, .conditional(beatsLast(largest), [enter])]
    }
  }

  /// Puts an element in: what it beats moves one back, the last one leaves.
  private func insert(_ element: Scalar, _ place: Scalar) -> [Statement] {
    let (definePlace, own) = b.define(place)
    let move = b.lanes(below: k) { rank in
      let hasNeighbour = Scalar.compare(.greater, .position(rank), .int(0))
      let (defineNeighbour, neighbour) = b.define(b.load(kept, rank + -1, where: hasNeighbour))
      let (defineHere, here) = b.define(b.load(kept, rank))
      let beatsNeighbour = Scalar.binary(.and, hasNeighbour, element.isLarger(than: .variable(neighbour)))
      let (defineMoves, moves) = b.define(beatsNeighbour)
      let (defineEnters, enters) = b.define(element.isLarger(than: .variable(here)))
      let value = Scalar.select(.variable(enters), element, .variable(here))
      let newPlace = Scalar.select(.variable(enters), .variable(own), b.load(places, rank))
      let neighbourPlace = b.load(places, rank + -1, where: hasNeighbour)
      return [
        defineNeighbour, defineHere, defineMoves, defineEnters,
        .store(newKept, rank, .select(.variable(moves), .variable(neighbour), value)),
        .store(newPlaces, rank, .select(.variable(moves), neighbourPlace, newPlace)),
      ]
    }
    let copy = b.lanes(below: k) { rank in
      [.store(kept, rank, b.load(newKept, rank)), .store(places, rank, b.load(newPlaces, rank))]
    }
    return [definePlace, move, copy]
  }
}

/// A bound from below for the `k`th largest element of a line, and the elements that reach it, in their order.
private struct Bound {
  let candidates, candidatePlaces: BufferID
  /// The largest of each group, and how many of them are no smaller.
  private let maxima, reached: BufferID
  private let extent, k, groups: Int
  /// The most candidates that are kept. Where a line has more, they are no help.
  let capacity: Int
  private let b: KernelBuilder
  private let type: ScalarType

  /// `nil` where lines are too short for it to pay.
  init?(extent: Int, k: Int, _ b: KernelBuilder, _ type: ScalarType, _ placeType: ScalarType) {
    let groups = pieces(of: 2 * k, by: 16) * 16
    guard k <= 128, extent >= 4 * groups else { return nil }
    self.extent = extent
    self.k = k
    self.groups = groups
    self.b = b
    self.type = type
    capacity = pieces(of: 4 * k, by: 16) * 16
    // One more than count: each is written before it is known to be a candidate.
    candidates = b.buffer("candidates", type.dtype, capacity + 1, .local)
    candidatePlaces = b.buffer("candidate_places", placeType.dtype, capacity + 1, .local)
    maxima = b.buffer("maxima", type.dtype, groups, .local)
    reached = b.buffer("reached", .i32, groups, .local)
  }

  /// - Returns: the statements, and how many candidates there are: at least `k`. Those beyond `capacity` are not kept.
  func collect(
    from element: (Position) -> Scalar, places: (Position) -> Scalar
  ) -> (statements: [Statement], count: Variable) {
    let begin = b.lanes(below: groups) { [.store(maxima, $0, element($0))] }
    // What does not fill all groups is left out, which leaves the bound one.
    let raise = b.loop(below: extent / groups - 1) { step in
      let first = (step + 1) * groups
      return [b.lanes(below: groups) { [.store(maxima, $0, .binary(.maximum, b.load(maxima, $0), element(first + $0)))] }]
    }
    // A maximum that k of them reach is no larger than the kth; the largest such is the kth.
    let clear = b.lanes(below: groups) { [.store(reached, $0, .zero(.i32))] }
    let rank = b.loop(below: groups) { rival in
      let (define, other) = b.define(b.load(maxima, rival))
      let compare = b.lanes(below: groups) { own in
        let isReached = Scalar.unary(.not, b.load(maxima, own).isLarger(than: .variable(other)))
        let more = Scalar.select(isReached, .integer(1, .i32), .zero(.i32))
        return [.store(reached, own, .binary(.add, b.load(reached, own), more))]
      }
      return [define, compare]
    }
    let least = b.variable(type)
    let choose = b.lanes(below: groups) { own in
      let isCandidate = Scalar.compare(.greaterOrEqual, b.load(reached, own), .integer(Int64(k), .i32))
      let none = Reduction.maximum.identity(type)
      return [.accumulate(least, .maximum, .select(isCandidate, b.load(maxima, own), none))]
    }
    let count = b.variable(.i64)
    func reaches(_ element: Variable) -> Scalar {
      .unary(.not, Scalar.variable(least).isLarger(than: .variable(element)))
    }
    let block = 16
    let pick = b.loop(below: pieces(of: extent, by: block)) { number in
      let first = number * block
      let largest = b.variable(type)
      let limit = Position(extent) - first
      let scan = b.lanes(below: block, limit: limit) { [.accumulate(largest, .maximum, element(first + $0))] }
      let append = b.loop(below: block, limit: limit) { step in
        let (define, own) = b.define(element(first + step))
        let (findSlot, slot) = b.define(.binary(.minimum, .variable(count), .int(capacity)))
        return [
          define, findSlot, .store(candidates, Position(slot), .variable(own)),
          .store(candidatePlaces, Position(slot), places(first + step)),
          .accumulate(count, .sum, .select(reaches(own), .int(1), .int(0))),
        ]
      }
      return [.accumulator(largest, .maximum), scan, .conditional(reaches(largest), [append])]
    }
    let bound = [clear, rank, .accumulator(least, .maximum), choose]
    return ([begin, raise] + bound + [.accumulator(count, .sum), pick], count)
  }
}
