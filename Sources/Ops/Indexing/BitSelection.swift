import IR

/// A kernel stage that marks the `k` largest elements of every line without sorting them.
///
/// Elements become integers in their order, and the least one chosen is found bit by bit from the top: a bit stays if
/// `k` elements are at least as large as what is found so far with that bit. Every bit is one pass of comparisons in
/// vectors, which costs less than counting digits does. Everything above that element is chosen, and of its equals the
/// first few.
struct BitSelection {
  private let b: KernelBuilder
  private let k, lines, extent: Int
  private let dtype: DType
  private let type: ScalarType
  private let keys, least, state: BufferID
  private static let block = 256

  init(_ x: TensorType, _ k: Int, _ b: KernelBuilder) {
    (self.b, self.k, dtype) = (b, k, x.dtype)
    extent = x.shape[x.rank - 1]
    lines = x.shape.dropLast().reduce(1, *)
    type = x.dtype == .i64 ? .i64 : .i32
    keys = b.buffer("keys", type.dtype, max(1, lines * extent), .workspace)
    least = b.buffer("least", type.dtype, 1, .local)
    state = b.buffer("state", .i64, 3, .local)
  }

  func emit(_ source: BufferID, into mask: BufferID) {
    b.stage(below: lines) { line in
      let start = line * extent
      let order = b.lanes(below: extent) { place in
        let (statements, key) = key(source, start + place)
        return statements + [.store(keys, start + place, key)]
      }
      let (defineLeast, found) = b.define(b.load(least, Position(0)))
      let chosen = Scalar.variable(found)
      let (above, countAbove) = count(start) { .compare(.greater, $0, chosen) }
      let (defineWanted, wanted) = b.define(.binary(.subtract, .int(k), .variable(above)))
      let last = b.load(state, Position(1))
      let (defineLast, lastPlace) = b.define(last)
      let mark = b.lanes(below: extent) { place in
        let (define, key) = b.define(b.load(keys, start + place))
        let isEqual = Scalar.compare(.equal, .variable(key), chosen)
        let isEarly = Scalar.compare(.lessOrEqual, .position(place), .variable(lastPlace))
        let isChosen = Scalar.binary(.or, .compare(.greater, .variable(key), chosen), .binary(.and, isEqual, isEarly))
        return [define, .store(mask, start + place, isChosen)]
      }
      return [order] + search(start) + [defineLeast] + countAbove + [defineWanted]
        + findLast(start, equalTo: chosen, wanted) + [defineLast, mark]
    }
  }

  /// The element as an integer: the larger one, the larger the other. Both zeros are one, and so are all NaNs.
  private func key(_ source: BufferID, _ place: Position) -> (statements: [Statement], key: Scalar) {
    let (define, element) = b.define(b.load(source, place))
    let x = Scalar.variable(element)
    guard dtype.isFloat else { return ([define], x) }
    let (defineBits, bits) = b.define(.bitcast(.select(.compare(.equal, x, .float(0)), .float(0), x), .i32))
    // Of negative floats the larger have the smaller bits.
    let isNegative = Scalar.compare(.less, .variable(bits), .integer(0, .i32))
    let most = Scalar.integer(Int64(Int32.max), .i32)
    let ordered = Scalar.select(isNegative, .binary(.xor, .variable(bits), most), .variable(bits))
    let (defineKey, key) = b.define(.select(.compare(.equal, x, x), ordered, most))
    return ([define, defineBits, defineKey], .variable(key))
  }

  /// How many keys of a line hold to a condition.
  private func count(_ start: Position, where condition: (Scalar) -> Scalar) -> (Variable, [Statement]) {
    let sum = b.variable(.i64)
    let scan = b.lanes(below: extent) { place in
      let (define, key) = b.define(b.load(keys, start + place))
      return [define, .accumulate(sum, .sum, .select(condition(.variable(key)), .int(1), .int(0)))]
    }
    return (sum, [.accumulator(sum, .sum), scan])
  }

  /// `least` becomes the `k`th largest key.
  private func search(_ start: Position) -> [Statement] {
    let width = type == .i64 ? 64 : 32
    let search = b.loop(below: width) { step in
      // Toggling the top bit of a signed integer orders it as an unsigned one.
      let place = Scalar.position(Position(width - 1) - step)
      let bit = Scalar.binary(.shiftLeft, .integer(1, type), type == .i64 ? place : .convert(place, .i32))
      let (defineTrial, trial) = b.define(.binary(.xor, b.load(least, Position(0)), bit))
      let (sum, count) = count(start) { .compare(.greaterOrEqual, $0, .variable(trial)) }
      let keep = Statement.store(least, Position(0), .variable(trial))
      return [defineTrial] + count + [.conditional(.compare(.greaterOrEqual, .variable(sum), .int(k)), [keep])]
    }
    return [.store(least, Position(0), .integer(type == .i64 ? .min : Int64(Int32.min), type)), search]
  }

  /// `state[1]` becomes the place of the `wanted`th key that is equal to the least chosen one; −1 if none is wanted.
  private func findLast(_ start: Position, equalTo least: Scalar, _ wanted: Variable) -> [Statement] {
    let (seen, last, own) = (Position(0), Position(1), Position(2))
    let size = min(Self.block, max(1, extent))
    func isEqual(_ place: Position) -> Scalar { .compare(.equal, b.load(keys, start + place), least) }
    let blocks = b.loop(below: pieces(of: extent, by: size)) { number in
      let first = number * size
      let sum = b.variable(.i64)
      let count = b.lanes(below: size, limit: Position(extent) - first) { step in
        [.accumulate(sum, .sum, .select(isEqual(first + step), .int(1), .int(0)))]
      }
      let (defineBefore, before) = b.define(b.load(state, seen))
      let (defineAfter, after) = b.define(.binary(.add, .variable(before), .variable(sum)))
      let isOpen = Scalar.compare(.less, .variable(before), .variable(wanted))
      let passes = Scalar.compare(.greaterOrEqual, .variable(after), .variable(wanted))
      let walk = b.loop(below: size, limit: Position(extent) - first) { step in
        let (defineRank, rank) = b.define(.binary(.add, b.load(state, own), .int(1)))
        let isLast = Scalar.compare(.equal, .variable(rank), .variable(wanted))
        let note: [Statement] = [
          defineRank, .store(state, own, .variable(rank)), .conditional(isLast, [.store(state, last, .position(first + step))]),
        ]
        return [.conditional(isEqual(first + step), note)]
      }
      return [
        .accumulator(sum, .sum), count, defineBefore, defineAfter, .store(state, seen, .variable(after)),
        .conditional(.binary(.and, isOpen, passes), [.store(state, own, .variable(before)), walk]),
      ]
    }
    return [.store(state, seen, .int(0)), .store(state, last, .int(-1)), blocks]
  }
}
