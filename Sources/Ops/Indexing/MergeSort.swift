import IR

/// Kernel stages that sort lines of elements, stably, and note where each element was.
///
/// Runs of 32 are ordered by counting for each element those before it. Then runs are merged in pairs, one stage a
/// doubling, in pieces of up to 1024 elements that run side by side: where a piece begins in its two runs is found by
/// binary search along the diagonal (Green, Odeh, Birk, "Merge path", 2012).
struct MergeSort {
  let lines: Int
  let extent: Int
  let dtype: DType
  /// Whether the first of two elements must stand before the second.
  let precedes: (Scalar, Scalar) -> Scalar

  private static let run = 32
  private static let piece = 1024

  /// Elements and where they were, between stages.
  private struct Pair {
    let elements: BufferID
    let places: BufferID
  }

  func emit(_ source: BufferID, into elements: BufferID, _ places: BufferID, _ k: KernelBuilder) {
    let result = Pair(elements: elements, places: places)
    var widths: [Int] = []
    while (widths.last.map { $0 * 2 } ?? Self.run) < extent { widths.append(widths.last.map { $0 * 2 } ?? Self.run) }
    var (from, other) = (result, result)
    if !widths.isEmpty {
      let count = lines * extent
      let between = Pair(
        elements: k.buffer("between", dtype, count, .workspace), places: k.buffer("between_places", .i64, count, .workspace))
      (from, other) = widths.count.isMultiple(of: 2) ? (result, between) : (between, result)
    }
    order(source, into: from, k)
    let state = widths.isEmpty ? nil : k.buffer("state", .i64, 2, .local)
    for width in widths {
      guard let state else { break }
      merge(width, from, into: other, state, k)
      swap(&from, &other)
    }
  }

  /// Orders runs: the place of an element is the number of those before it.
  private func order(_ source: BufferID, into result: Pair, _ k: KernelBuilder) {
    let runs = pieces(of: extent, by: Self.run)
    let length = min(Self.run, extent)
    k.stage(below: lines * runs) { number in
      let first = number % max(1, runs) * Self.run
      let start = number / max(1, runs) * extent + first
      return [k.loop(below: length, limit: Position(extent) - first) { own in
        let (define, element) = k.define(k.load(source, start + own))
        let rank = k.variable(.i64)
        let count = k.lanes(below: length, limit: Position(extent) - first) { place in
          let (defineOther, other) = k.define(k.load(source, start + place))
          let earlier = Scalar.compare(.less, .position(place), .position(own))
          let before = Scalar.variable(element).comesAfter(.variable(other), ifEarlier: earlier, precedes)
          return [defineOther, .accumulate(rank, .sum, .select(before, .int(1), .int(0)))]
        }
        return [
          define, .accumulator(rank, .sum), count, .store(result.elements, start + Position(rank), .variable(element)),
          .store(result.places, start + Position(rank), .position(first + own)),
        ]
      }]
    }
  }

  /// Merges neighbouring runs of `width` elements.
  private func merge(_ width: Int, _ from: Pair, into result: Pair, _ state: BufferID, _ k: KernelBuilder) {
    let size = min(Self.piece, 2 * width)
    let count = pieces(of: extent, by: size)
    let (left, right) = (Position(0), Position(1))
    k.stage(below: lines * count) { number in
      let line = number / count * extent
      let begin = number % count * size
      let base = begin / (2 * width) * (2 * width)
      let skipped = Scalar.position(begin - base)
      let (defineMiddle, middle) = k.define(.binary(.minimum, .position(base + width), .int(extent)))
      let (defineEnd, end) = k.define(.binary(.minimum, .position(base + 2 * width), .int(extent)))
      var body = [defineMiddle, defineEnd]

      // `state` holds where the next elements of both runs stand; first, how many of `skipped` came from the left one.
      if size < 2 * width {
        let rightLength = Scalar.binary(.subtract, .variable(end), .variable(middle))
        let leftLength = Scalar.position(Position(middle) - base)
        let least = Scalar.binary(.maximum, .int(0), .binary(.subtract, skipped, rightLength))
        body.append(.store(state, left, least))
        body.append(.store(state, right, .binary(.minimum, skipped, leftLength)))
        body.append(k.loop(below: width.bitWidth - width.leadingZeroBitCount) { _ in
          let (defineLow, low) = k.define(k.load(state, left))
          let (defineHigh, high) = k.define(k.load(state, right))
          let sum = Position(low) + Position(high)
          let (defineTry, trial) = k.define(.position(sum / 2))
          let mine = k.load(from.elements, line + base + Position(trial))
          let theirs = k.load(from.elements, line + Position(middle) + begin - base - Position(trial) + -1)
          let (defineMine, a) = k.define(mine)
          let (defineTheirs, b) = k.define(theirs)
          let (defineEnough, enough) = k.define(precedes(.variable(b), .variable(a)))
          let search: [Statement] = [
            defineTry, defineMine, defineTheirs, defineEnough,
            .store(state, right, .select(.variable(enough), .variable(trial), .variable(high))),
            .store(state, left, .select(.variable(enough), .variable(low), .position(Position(trial) + 1))),
          ]
          return [defineLow, defineHigh, .conditional(.compare(.less, .variable(low), .variable(high)), search)]
        })
        let (defineTaken, taken) = k.define(k.load(state, left))
        body += [
          defineTaken, .store(state, left, .position(base + Position(taken))),
          .store(state, right, .position(Position(middle) + begin - base - Position(taken))),
        ]
      } else {
        body += [.store(state, left, .position(base)), .store(state, right, .variable(middle))]
      }

      body.append(k.loop(below: size, limit: Position(end) - begin) { step in
        let (defineLeft, l) = k.define(k.load(state, left))
        let (defineRight, r) = k.define(k.load(state, right))
        let (defineHasLeft, hasLeft) = k.define(.compare(.less, .variable(l), .variable(middle)))
        let (defineHasRight, hasRight) = k.define(.compare(.less, .variable(r), .variable(end)))
        let (defineA, a) = k.define(k.load(from.elements, line + Position(l), where: .variable(hasLeft)))
        let (defineB, b) = k.define(k.load(from.elements, line + Position(r), where: .variable(hasRight)))
        let rightFirst = Scalar.binary(.and, .variable(hasRight), precedes(.variable(b), .variable(a)))
        let (defineTakes, takesRight) = k.define(.select(.variable(hasLeft), rightFirst, .boolean(true)))
        let (definePlace, place) = k.define(.select(.variable(takesRight), .variable(r), .variable(l)))
        let at = line + begin + step
        return [
          defineLeft, defineRight, defineHasLeft, defineHasRight, defineA, defineB, defineTakes, definePlace,
          .store(result.elements, at, .select(.variable(takesRight), .variable(b), .variable(a))),
          .store(result.places, at, k.load(from.places, line + Position(place))),
          .store(state, left, .select(.variable(takesRight), .variable(l), .position(Position(l) + 1))),
          .store(state, right, .select(.variable(takesRight), .position(Position(r) + 1), .variable(r))),
        ]
      })
      return body
    }
  }
}
