import IR

/// The places (i64) of the true elements of a list, ascending: as many as `limit`, and −1 where there are fewer.
///
/// Every piece of the list is counted, then written where the counts of those before it say.
public struct Nonzero: TensorOp {
  public var name: String { "nonzero" }
  public let limit: Int
  public init(limit: Int) { self.limit = limit }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "mask")
    let mask = operands[0]
    try require(mask.dtype == .bool && mask.rank == 1, "wants a list of bool, got \(mask)")
    return [try checked(TensorType(.i64, [limit]))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let places = operands[0].integers.enumerated().filter { $0.element != 0 }.prefix(limit).map { Int64($0.offset) }
    return [Literal(.i64(limit), integers: places + [Int64](repeating: -1, count: limit - places.count))]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [nil] }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands[0]) } }

  private func kernel(_ mask: TensorType) -> Kernel {
    let k = KernelBuilder()
    let from = k.input("mask", mask)
    let places = k.output("places", .i64(limit))
    let pieceCount = min(64, max(1, mask.count / 1024))
    let size = pieces(of: mask.count, by: pieceCount)
    let counts = k.buffer("counts", .i64, pieceCount + 1, .workspace)
    func one(_ condition: Scalar) -> Scalar { .select(condition, .int(1), .int(0)) }
    k.stage(below: pieceCount) { piece in
      let sum = k.variable(.i64)
      let first = piece * size
      let count = k.lanes(below: size, limit: Position(mask.count) - first) { step in
        [.accumulate(sum, .sum, one(k.load(from, first + step)))]
      }
      return [.accumulator(sum, .sum), count, .store(counts, piece, .variable(sum))]
    }
    k.stage(below: 1) { _ in
      let running = k.buffer("running", .i64, 1, .local)
      let run = k.loop(below: pieceCount + 1) { piece in
        let isPiece = Scalar.compare(.less, .position(piece), .int(pieceCount))
        let (defineBefore, before) = k.define(k.load(running, Position(0)))
        let (defineOwn, own) = k.define(k.load(counts, piece, where: isPiece))
        return [
          defineBefore, defineOwn, .store(counts, piece, .variable(before)),
          .store(running, Position(0), .binary(.add, .variable(before), .variable(own))),
        ]
      }
      return [.store(running, Position(0), .int(0)), run]
    }
    k.stage(below: pieceCount) { piece in
      let next = k.buffer("next", .i64, 1, .local)
      let first = piece * size
      let write = k.loop(below: size, limit: Position(mask.count) - first) { step in
        let (defineSlot, slot) = k.define(k.load(next, Position(0)))
        let (defineTrue, isTrue) = k.define(k.load(from, first + step))
        let fits = Scalar.binary(.and, .variable(isTrue), .compare(.less, .variable(slot), .int(limit)))
        return [
          defineSlot, defineTrue, .conditional(fits, [.store(places, Position(slot), .position(first + step))]),
          .store(next, Position(0), .binary(.add, .variable(slot), one(.variable(isTrue)))),
        ]
      }
      return [.store(next, Position(0), k.load(counts, piece)), write]
    }
    let block = min(1024, max(1, limit))
    k.stage(below: pieces(of: limit, by: block)) { number in
      let first = number * block
      let (defineCount, count) = k.define(k.load(counts, Position(pieceCount)))
      let (defineStart, start) = k.define(.binary(.maximum, .variable(count), .position(first)))
      let (defineEnd, end) = k.define(.binary(.minimum, .position(first + block), .int(limit)))
      let fill = k.loop(below: block, limit: Position(end) - Position(start)) { step in
        [.store(places, Position(start) + step, .int(-1))]
      }
      return [defineCount, defineStart, defineEnd, fill]
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(limit: 9), TensorType(.bool, [9])), Sample(Self(limit: 2), TensorType(.bool, [20])),
    Sample(Self(limit: 40), TensorType(.bool, [17])), Sample(Self(limit: 0), TensorType(.bool, [5])),
    Sample(Self(limit: 3), TensorType(.bool, [0])), Sample(Self(limit: 3000), TensorType(.bool, [5000])),
  ]
}
