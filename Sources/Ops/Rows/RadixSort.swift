import IR

/// Kernel stages that order row numbers, stably, and note where each was; numbers of no row go to the end.
///
/// The numbers are those below a bound, if it is known, and else all that are not negative. Without a bound two digits of
/// 11 bits come first, enough for numbers below 4 million, and further pairs are skipped unless a number has them. A digit
/// is three stages: every piece counts its digits; the counts become places; every piece moves its numbers. What a piece
/// does has one order, so the result does too.
struct RadixSort {
  let count: Int
  let k: KernelBuilder
  /// All numbers of rows are below it.
  let bound: Int?
  /// The numbers in order, and where they were.
  let sorted: BufferID
  let order: BufferID
  private let between, betweenOrder, counts, totals, largest, top: BufferID
  private let bits, digits: Int
  private static let mostBits = 11

  /// How the numbers are cut up for all stages that go through them.
  let pieceCount: Int
  let pieceSize: Int

  init(_ count: Int, below bound: Int? = nil, _ k: KernelBuilder) {
    self.count = count
    self.k = k
    self.bound = bound
    pieceCount = min(64, max(1, count / 4096))
    pieceSize = pieces(of: count, by: pieceCount)
    bits = bound.map { max(6, pieces(of: Self.bits(of: $0), by: Self.passes(below: $0))) } ?? Self.mostBits
    digits = 1 << bits
    sorted = k.buffer("sorted", .i64, count, .workspace)
    order = k.buffer("order", .i64, count, .workspace)
    between = k.buffer("between", .i64, count, .workspace)
    betweenOrder = k.buffer("between_order", .i64, count, .workspace)
    counts = k.buffer("counts", .i64, pieceCount * digits, .workspace)
    totals = k.buffer("totals", .i64, digits, .workspace)
    largest = k.buffer("largest", .i64, bound == nil ? pieceCount : 0, .workspace)
    top = k.buffer("top", .i64, bound == nil ? 1 : 0, .workspace)
  }

  private static func bits(of bound: Int) -> Int { max(1, Int.bitWidth - bound.leadingZeroBitCount) }
  private static func passes(below bound: Int) -> Int { pieces(of: bits(of: bound), by: mostBits) }

  /// Whether this is the number of a row.
  func isNumber(_ id: Scalar) -> Scalar { bound.map { id.isWithin($0) } ?? .compare(.greaterOrEqual, id, .int(0)) }

  /// A loop over the places of a piece.
  func each(in piece: Position, lanes: Bool = false, _ body: (Position) -> [Statement]) -> Statement {
    let first = piece * pieceSize
    let limit = Position(count) - first
    return lanes
      ? k.lanes(below: pieceSize, limit: limit) { body(first + $0) } : k.loop(below: pieceSize, limit: limit) { body(first + $0) }
  }

  func emit(_ ids: BufferID) {
    if let bound { return emit(ids, passes: Self.passes(below: bound)) }
    findTop(ids)
    for shift in stride(from: 0, to: 64, by: 2 * bits) {
      pass(shift, isNeeded: shift == 0, from: shift == 0 ? ids : sorted, shift == 0 ? nil : order, into: between, betweenOrder)
      pass(shift + bits, isNeeded: shift == 0, from: between, betweenOrder, into: sorted, order)
    }
  }

  /// So many passes over all numbers, of which the last one leaves them where they belong.
  private func emit(_ ids: BufferID, passes: Int) {
    var (from, fromOrder): (BufferID, BufferID?) = (ids, nil)
    for number in 0..<passes {
      let isThere = (passes - 1 - number) % 2 == 0
      let (into, intoOrder) = isThere ? (sorted, order) : (between, betweenOrder)
      pass(number * bits, isNeeded: true, from: from, fromOrder, into: into, intoOrder)
      (from, fromOrder) = (into, intoOrder)
    }
  }

  /// `top` becomes one more than the largest number: the key of all negative ones.
  private func findTop(_ ids: BufferID) {
    k.stage(below: pieceCount) { piece in
      let most = k.variable(.i64)
      let scan = each(in: piece, lanes: true) { [.accumulate(most, .maximum, k.load(ids, $0))] }
      return [.accumulator(most, .maximum), scan, .store(largest, piece, .variable(most))]
    }
    k.stage(below: 1) { _ in
      let most = k.variable(.i64)
      let scan = k.loop(below: pieceCount) { [.accumulate(most, .maximum, k.load(largest, $0))] }
      let capped = Scalar.binary(.maximum, .variable(most), .int(-1))
      return [.accumulator(most, .maximum), scan, .store(top, Position(0), .binary(.add, capped, .int(1)))]
    }
  }

  private func pass(
    _ shift: Int, isNeeded: Bool, from: BufferID, _ fromOrder: BufferID?, into: BufferID, _ intoOrder: BufferID
  ) {
    // A pair of digits that no number has moves nothing; both passes of the pair agree on that.
    let pair = Int64(shift / (2 * bits) * (2 * bits))
    func whereNeeded(_ body: [Statement]) -> [Statement] {
      if isNeeded { return body }
      let upper = Scalar.binary(.shiftRight, k.load(top, Position(0)), .integer(pair, .i64))
      return [.conditional(.compare(.notEqual, upper, .int(0)), body)]
    }
    func digit(_ id: Variable) -> Scalar {
      let last = bound.map { Scalar.int($0) } ?? k.load(top, Position(0))
      let key = Scalar.select(isNumber(.variable(id)), .variable(id), last)
      return .binary(.and, .binary(.shiftRight, key, .int(shift)), .int(digits - 1))
    }

    k.stage(below: pieceCount) { piece in
      let base = piece * digits
      let clear = k.lanes(below: digits) { [.store(counts, base + $0, .int(0))] }
      let count = each(in: piece) { place in
        let (defineID, id) = k.define(k.load(from, place))
        let (defineDigit, digit) = k.define(digit(id))
        let slot = base + Position(digit)
        return [defineID, defineDigit, .store(counts, slot, .binary(.add, k.load(counts, slot), .int(1)))]
      }
      return whereNeeded([clear, count])
    }
    k.stage(below: digits / 64) { group in
      // Where the numbers of each piece begin among those of the same digit.
      let clear = k.lanes(below: 64) { [.store(totals, group * 64 + $0, .int(0))] }
      let run = k.loop(below: pieceCount) { piece in
        [k.lanes(below: 64) { lane in
          let (total, slot) = (group * 64 + lane, piece * digits + group * 64 + lane)
          let (defineBefore, before) = k.define(k.load(totals, total))
          let (defineOwn, own) = k.define(k.load(counts, slot))
          return [
            defineBefore, defineOwn, .store(counts, slot, .variable(before)),
            .store(totals, total, .binary(.add, .variable(before), .variable(own))),
          ]
        }]
      }
      return whereNeeded([clear, run])
    }
    k.stage(below: 1) { _ in
      let sum = k.buffer("sum\(shift)", .i64, 1, .local)
      let run = k.loop(below: digits) { digit in
        let (defineBefore, before) = k.define(k.load(sum, Position(0)))
        let (defineOwn, own) = k.define(k.load(totals, digit))
        return [
          defineBefore, defineOwn, .store(totals, digit, .variable(before)),
          .store(sum, Position(0), .binary(.add, .variable(before), .variable(own))),
        ]
      }
      return whereNeeded([.store(sum, Position(0), .int(0)), run])
    }
    k.stage(below: pieceCount) { piece in
      let move = each(in: piece) { place in
        let (defineID, id) = k.define(k.load(from, place))
        let (defineDigit, digit) = k.define(digit(id))
        let slot = piece * digits + Position(digit)
        let (defineRank, rank) = k.define(k.load(counts, slot))
        let (defineTarget, target) = k.define(.binary(.add, .variable(rank), k.load(totals, Position(digit))))
        let old = fromOrder.map { k.load($0, place) } ?? .position(place)
        return [
          defineID, defineDigit, defineRank, defineTarget, .store(counts, slot, .binary(.add, .variable(rank), .int(1))),
          .store(into, Position(target), .variable(id)), .store(intoOrder, Position(target), old),
        ]
      }
      return whereNeeded([move])
    }
  }
}
