import IR

/// The kernel of `TopK`: each line keeps its `k` largest so far in order, the first `k` to begin with.
///
/// The others come in blocks, and only a block with an element that beats the last one kept is gone through. Of random
/// elements about `k·log(n / k)` are put in, each by moving what it beats in vectors.
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

  func emit(_ source: BufferID, into values: BufferID, _ indices: BufferID) {
    b.stage(below: lines) { line in
      let start = line * extent
      let write = b.lanes(below: k) { rank in
        [.store(values, line * k + rank, b.load(kept, rank)), .store(indices, line * k + rank, b.load(places, rank).wide)]
      }
      return [order(source, start), improve(source, start), write]
    }
  }

  private func place(_ position: Position) -> Scalar {
    placeType == .i64 ? .position(position) : .convert(.position(position), .i32)
  }

  /// Orders the first `k` elements: the rank of each is the number of those before it.
  private func order(_ source: BufferID, _ start: Position) -> Statement {
    b.loop(below: k) { own in
      let (define, element) = b.define(b.load(source, start + own))
      let rank = b.variable(.i64)
      let count = b.lanes(below: k) { other in
        let rival = b.load(source, start + other)
        let earlier = Scalar.compare(.less, .position(other), .position(own))
        let stays = Scalar.unary(.not, Scalar.variable(element).isLarger(than: rival))
        let before = Scalar.select(earlier, stays, rival.isLarger(than: .variable(element)))
        return [.accumulate(rank, .sum, .select(before, .int(1), .int(0)))]
      }
      return [
        define, .accumulator(rank, .sum), count, .store(kept, Position(rank), .variable(element)),
        .store(places, Position(rank), place(own)),
      ]
    }
  }

  private func improve(_ source: BufferID, _ start: Position) -> Statement {
    let block = min(64, max(1, extent - k))
    func beatsLast(_ element: Variable) -> Scalar {
      Scalar.variable(element).isLarger(than: b.load(kept, Position(k - 1)))
    }
    return b.loop(below: pieces(of: extent - k, by: block)) { number in
      let first = number * block + k
      let largest = b.variable(type)
      let scan = b.lanes(below: block, limit: Position(extent) - first) { step in
        [.accumulate(largest, .maximum, b.load(source, start + first + step))]
      }
      let enter = b.loop(below: block, limit: Position(extent) - first) { step in
        let (define, element) = b.define(b.load(source, start + first + step))
        return [define, .conditional(beatsLast(element), insert(.variable(element), first + step))]
      }
      return [.accumulator(largest, .maximum), scan, .conditional(beatsLast(largest), [enter])]
    }
  }

  /// Puts an element in: what it beats moves one back, the last one leaves.
  private func insert(_ element: Scalar, _ at: Position) -> [Statement] {
    let (definePlace, own) = b.define(place(at))
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
