import IR

/// Kernel stages that mark the `k` largest elements of every line without sorting them.
///
/// Elements become integers in their order, and the least one chosen is found digit by digit from the top: count the
/// digits of those that are still possible, and go down from the largest until `k` are passed. Everything above that
/// element is chosen, and of its equals the first few. Long lines are cut into pieces that are counted side by side; the
/// counts are integers, so the result is the same however they are cut.
struct RadixSelection {
  private let b: KernelBuilder
  private let k, lines, extent: Int
  private let dtype: DType
  /// Bits of an element, and of a digit: few where lines are short, for each line clears its counts.
  private let width, bits: Int
  private let pieceCount, pieceSize: Int
  private let counts, prefix, left, equals, state: BufferID

  init(_ x: TensorType, _ k: Int, _ b: KernelBuilder) {
    (self.b, self.k, dtype) = (b, k, x.dtype)
    extent = x.shape[x.rank - 1]
    lines = x.shape.dropLast().reduce(1, *)
    width = x.dtype == .i64 ? 64 : 32
    bits = max(4, min(11, extent.bitWidth - extent.leadingZeroBitCount))
    pieceCount = lines >= 16 ? 1 : min(16, max(1, extent / 4096))
    pieceSize = pieces(of: extent, by: pieceCount)
    counts = b.buffer("counts", .i64, max(1, lines * pieceCount) << bits, .workspace)
    prefix = b.buffer("prefix", .i64, max(1, lines), .workspace)
    left = b.buffer("left", .i64, max(1, lines), .workspace)
    state = b.buffer("state", .i64, 3, .local)
    equals = b.buffer("equals", .i64, max(1, lines * pieceCount), .workspace)
  }

  func emit(_ source: BufferID, into mask: BufferID) {
    var shift = width
    while shift > 0 {
      let size = min(bits, shift)
      let isFirst = shift == width
      shift -= size
      count(source, shift, size, isFirst: isFirst)
      descend(size, isFirst: isFirst)
    }
    findEquals(source)
    mark(source, mask)
  }

  /// Names the element as an unsigned integer of `width` bits: the larger one, the larger the other.
  private func key(_ source: BufferID, _ place: Position) -> (statements: [Statement], key: Scalar) {
    let (define, element) = b.define(b.load(source, place))
    let x = Scalar.variable(element)
    guard dtype.isFloat else {
      let shifted = dtype == .i64 ? Scalar.binary(.xor, x, .integer(.min, .i64)) : .binary(.add, x.wide, .int(1 << 31))
      let (defineKey, key) = b.define(shifted)
      return ([define, defineKey], .variable(key))
    }
    // Of negative floats the larger have the smaller bits; both zeros are one, and so are all NaNs.
    let (defineBits, bits) = b.define(.bitcast(.select(.compare(.equal, x, .float(0)), .float(0), x), .i32))
    let wide = Scalar.binary(.and, .convert(.variable(bits), .i64), .int(0xffff_ffff))
    let isNegative = Scalar.compare(.less, .variable(bits), .integer(0, .i32))
    let ordered = Scalar.binary(.xor, wide, .select(isNegative, .int(0xffff_ffff), .int(1 << 31)))
    let (defineKey, key) = b.define(.select(.compare(.equal, x, x), ordered, .int(0xffff_ffff)))
    return ([define, defineBits, defineKey], .variable(key))
  }

  private func isGreater(_ a: Scalar, _ b: Scalar) -> Scalar {
    guard width == 64 else { return .compare(.greater, a, b) }
    func signed(_ key: Scalar) -> Scalar { .binary(.xor, key, .integer(.min, .i64)) }
    return .compare(.greater, signed(a), signed(b))
  }

  /// A loop over the places of a piece; `number` counts the pieces of all lines.
  private func each(in number: Position, lanes: Bool = false, _ body: (Position) -> [Statement]) -> Statement {
    let first = number % pieceCount * pieceSize
    let start = number / pieceCount * extent + first
    let limit = Position(extent) - first
    return lanes
      ? b.lanes(below: pieceSize, limit: limit) { body(start + $0) } : b.loop(below: pieceSize, limit: limit) { body(start + $0) }
  }

  /// Counts one digit of the elements whose upper digits are those found so far.
  private func count(_ source: BufferID, _ shift: Int, _ size: Int, isFirst: Bool) {
    b.stage(below: lines * pieceCount) { number in
      let base = number * (1 << bits)
      let (definePrefix, found) = b.define(b.load(prefix, number / pieceCount))
      let clear = b.lanes(below: 1 << size) { [.store(counts, base + $0, .int(0))] }
      let scan = each(in: number) { place in
        let (statements, key) = key(source, place)
        let (defineDigit, digit) = b.define(.binary(.and, .binary(.shiftRight, key, .int(shift)), .int(1 << size - 1)))
        let slot = base + Position(digit)
        let add: [Statement] = [defineDigit, .store(counts, slot, .binary(.add, b.load(counts, slot), .int(1)))]
        if isFirst { return statements + add }
        let upper = Scalar.binary(.shiftRight, key, .int(shift + size))
        return statements + [.conditional(.compare(.equal, upper, .variable(found)), add)]
      }
      return (isFirst ? [] : [definePrefix]) + [clear, scan]
    }
  }

  /// Finds the digit at which `left` elements are passed, from the largest down, and how many of them it leaves.
  private func descend(_ size: Int, isFirst: Bool) {
    let digits = 1 << size
    let (passed, digit, before) = (Position(0), Position(1), Position(2))
    b.stage(below: lines) { line in
      let total = { (place: Position) in
        (0..<pieceCount).reduce(Scalar.int(0)) { sum, piece in
          .binary(.add, sum, b.load(counts, (line * pieceCount + piece) * (1 << bits) + place))
        }
      }
      let (defineLeft, wanted) = b.define(isFirst ? .int(k) : b.load(left, line))
      let walk = b.loop(below: digits) { step in
        let own = Position(digits - 1) - step
        let (definePassed, sum) = b.define(b.load(state, passed))
        let take: [Statement] = [
          .store(state, digit, .position(own)), .store(state, before, .variable(sum)),
          .store(state, passed, .binary(.add, .variable(sum), total(own))),
        ]
        return [definePassed, .conditional(.compare(.less, .variable(sum), .variable(wanted)), take)]
      }
      let upper: Scalar = isFirst ? .int(0) : .binary(.shiftLeft, b.load(prefix, line), .int(size))
      return [
        defineLeft, .store(state, passed, .int(0)), .store(state, digit, .int(digits - 1)), .store(state, before, .int(0)),
        walk, .store(prefix, line, .binary(.or, upper, b.load(state, digit))),
        .store(left, line, .binary(.subtract, .variable(wanted), b.load(state, before))),
      ]
    }
  }

  /// How many elements of the pieces before each are equal to the least one chosen.
  private func findEquals(_ source: BufferID) {
    guard pieceCount > 1 else { return }
    b.stage(below: lines * pieceCount) { number in
      let (definePrefix, least) = b.define(b.load(prefix, number / pieceCount))
      let sum = b.variable(.i64)
      let scan = each(in: number, lanes: true) { place in
        let (statements, key) = key(source, place)
        return statements + [.accumulate(sum, .sum, .select(.compare(.equal, key, .variable(least)), .int(1), .int(0)))]
      }
      return [definePrefix, .accumulator(sum, .sum), scan, .store(equals, number, .variable(sum))]
    }
    b.stage(below: lines) { line in
      let running = b.buffer("running", .i64, 1, .local)
      let run = b.loop(below: pieceCount) { piece in
        let (defineBefore, before) = b.define(b.load(running, Position(0)))
        let (defineOwn, own) = b.define(b.load(equals, line * pieceCount + piece))
        return [
          defineBefore, defineOwn, .store(equals, line * pieceCount + piece, .variable(before)),
          .store(running, Position(0), .binary(.add, .variable(before), .variable(own))),
        ]
      }
      return [.store(running, Position(0), .int(0)), run]
    }
  }

  private func mark(_ source: BufferID, _ mask: BufferID) {
    let seen = b.buffer("seen", .i64, 1, .local)
    b.stage(below: lines * pieceCount) { number in
      let (definePrefix, least) = b.define(b.load(prefix, number / pieceCount))
      let (defineLeft, wanted) = b.define(b.load(left, number / pieceCount))
      let start: Scalar = pieceCount == 1 ? .int(0) : b.load(equals, number)
      let scan = each(in: number) { place in
        let (statements, key) = key(source, place)
        let (defineEqual, isEqual) = b.define(.compare(.equal, key, .variable(least)))
        let (defineRank, rank) = b.define(b.load(seen, Position(0)))
        let isFirst = Scalar.binary(.and, .variable(isEqual), .compare(.less, .variable(rank), .variable(wanted)))
        return statements + [
          defineEqual, defineRank, .store(mask, place, .binary(.or, isGreater(key, .variable(least)), isFirst)),
          .store(seen, Position(0), .binary(.add, .variable(rank), .select(.variable(isEqual), .int(1), .int(0)))),
        ]
      }
      return [definePrefix, defineLeft, .store(seen, Position(0), start), scan]
    }
  }
}
