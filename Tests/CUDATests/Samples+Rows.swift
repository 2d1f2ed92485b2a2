import IR

extension Sample {
  /// Kernels whose iterations are rows: reductions, locals, several stages.
  static let rows: [Sample] =
    [(1, 1), (3, 2), (67, 3), (5, 8), (40, 17), (9, 32), (7, 100), (37, 256), (3, 700)].map { normalized($0, $1) }
    + [(9, 4), (6, 50)].flatMap { count, width in
      [reversed(count, width), prefixSums(count, width), lanesInPlace(count, width), scalarsInPlace(count, width), columnSums(count, width)]
    } + [
      nested, pieces, longScalars, conditionalVector, conditionalLane, insertion, large, updatedInTurn, scalarRows, empty,
    ] + Reduction.allCases.flatMap { reduction in
      [DType.f32, .bf16, .i32, .i64, .u8, .bool].flatMap { reduced(reduction, $0) }
    }

  /// y = (x − mean) / sqrt(variance + ε), with the row kept in a local.
  static func normalized(_ rows: Int, _ width: Int) -> Sample {
    let (i, j) = (LoopVariable(0, below: rows), LoopVariable(1, below: width))
    let (sum, mean, squares, scale) = (Variable(0, .f32), Variable(1, .f32), Variable(2, .f32), Variable(3, .f32))
    let at = Position(i) * width + Position(j)
    let d = Variable(4, .f32)
    return Sample(
      "normalized_\(rows)_\(width)", [input(rows * width), output(rows * width), local(width)],
      [
        parallel(i, [
          .accumulator(sum, .sum),
          vector(j, [.accumulate(sum, .sum, load(0, at))]),
          .define(mean, .variable(sum) / .float(Double(width))),
          .accumulator(squares, .sum),
          vector(j, [
            .define(d, load(0, at) - .variable(mean)), store(2, Position(j), .variable(d)),
            .accumulate(squares, .sum, .variable(d) * .variable(d)),
          ]),
          .define(scale, .unary(.reciprocalSquareRoot, .variable(squares) / .float(Double(width)) + .float(1e-3))),
          vector(j, [store(1, at, load(2, Position(j)) * .variable(scale))]),
        ])
      ])
  }

  /// Scalar code between lanes that is long enough for one warp to do it for the others: twice in a row, in a loop.
  static let longScalars: Sample = {
    let (i, s) = (LoopVariable(0, below: 5), LoopVariable(1, below: 3))
    let (j, l) = (LoopVariable(2, below: 256), LoopVariable(3, below: 256))
    let (sum, again, isLarge) = (Variable(0, .f32), Variable(1, .f32), Variable(2, .bool))
    let row = (Position(i) * 3 + Position(s)) * 256
    func chain(_ start: Variable, _ first: Int) -> [Statement] {
      (0..<12).map { step in
        let last: Scalar = step == 0 ? .variable(start) * .float(0.01) : .variable(Variable(first + step - 1, .f32))
        return .define(Variable(first + step, .f32), .unary(.tanh, last + .float(Double(step) / 8)))
      }
    }
    let (one, two, count) = (Variable(21, .f32), Variable(41, .f32), Variable(60, .i64))
    let isKnown = Scalar.compare(.greater, .variable(Variable(12, .f32)), .float(0.2))
    let kept = Scalar.select(.variable(isLarge), .variable(one), .variable(Variable(15, .f32)))
    return Sample(
      "long_scalars", [input(5 * 3 * 256), output(5 * 3 * 256), output(15), output(15, .i64)],
      [
        parallel(i, [
          serial(s, [
            .accumulator(sum, .sum), .accumulator(again, .sum),
            vector(j, [.accumulate(sum, .sum, load(0, row + Position(j)))]),
          ] + chain(sum, 10) + [
            .define(isLarge, isKnown),
            .define(count, .convert(.variable(one) * .float(100), .i64)),
            store(2, Position(i) * 3 + Position(s), .variable(Variable(14, .f32))),
            vector(l, [.accumulate(again, .sum, load(0, row + Position(l)) * kept)]),
          ] + chain(again, 30) + [
            store(3, Position(i) * 3 + Position(s), .variable(count)),
            vector(LoopVariable(4, below: 256), [
              store(1, row + Position(LoopVariable(4, below: 256)), .variable(two) + kept)
            ]),
          ])
        ])
      ])
  }()

  /// Each lane reads what another lane stored to a local.
  static func reversed(_ rows: Int, _ width: Int) -> Sample {
    let (i, j) = (LoopVariable(0, below: rows), LoopVariable(1, below: width))
    let row = Position(i) * width
    return Sample(
      "reversed_\(rows)_\(width)", [input(rows * width), output(rows * width), local(width)],
      [
        parallel(i, [
          vector(j, [store(2, Position(j), load(0, row + Position(j)))]),
          vector(j, [store(1, row + Position(j), load(2, Position(j) * -1 + (width - 1)) * load(2, Position(j)))]),
        ])
      ])
  }

  /// An accumulator that is read while it grows, by scalar code and around vector loops.
  static func prefixSums(_ rows: Int, _ width: Int) -> Sample {
    let (i, j) = (LoopVariable(0, below: rows), LoopVariable(1, below: width))
    let k = LoopVariable(2, below: 3)
    let (plain, total) = (Variable(0, .f32), Variable(1, .f32))
    return Sample(
      "prefix_sums_\(rows)_\(width)",
      [input(rows * width), output(rows * width), output(rows * 3)],
      [
        parallel(i, [
          .accumulator(plain, .sum),
          serial(j, [
            .accumulate(plain, .sum, load(0, Position(i) * width + Position(j))),
            store(1, Position(i) * width + Position(j), .variable(plain)),
          ]),
          .accumulator(total, .sum),
          serial(k, [
            vector(j, [.accumulate(total, .sum, load(0, Position(i) * width + Position(j)))]),
            store(2, Position(i) * 3 + Position(k), .variable(total)),
          ]),
        ])
      ])
  }

  /// Lanes that replace what they read.
  static func lanesInPlace(_ rows: Int, _ width: Int) -> Sample {
    let (i, j) = (LoopVariable(0, below: rows), LoopVariable(1, below: width))
    let at = Position(i) * width + Position(j)
    var sample = Sample(
      "lanes_in_place_\(rows)_\(width)", [input(rows * width), output(rows * width)],
      [parallel(i, [vector(j, [store(1, at, load(0, at) * .float(2))])])])
    sample.inPlace = (0, 0)
    return sample
  }

  /// All threads read what one of them replaces.
  static func scalarsInPlace(_ rows: Int, _ width: Int) -> Sample {
    let (i, j, k) = (LoopVariable(0, below: rows), LoopVariable(1, below: width), LoopVariable(2, below: 3))
    let at = Position(i) * 3 + Position(k)
    let old = Variable(0, .f32)
    var sample = Sample(
      "scalars_in_place_\(rows)_\(width)", [input(rows * 3), output(rows * 3), output(rows * 3 * width)],
      [
        parallel(i, [
          serial(k, [
            .define(old, load(0, at)),
            store(1, at, .variable(old) + .float(1)),
            vector(j, [store(2, at * width + Position(j), .variable(old) * .float(3))]),
          ])
        ])
      ])
    sample.inPlace = (0, 0)
    return sample
  }

  /// Two stages: sums of pieces of the rows in a workspace, then the sum of the pieces; columns are the lanes.
  static func columnSums(_ rows: Int, _ width: Int) -> Sample {
    let pieces = 4
    let size = (rows + pieces - 1) / pieces
    let (p, r, c) = (
      LoopVariable(0, below: pieces), LoopVariable(1, below: size), LoopVariable(2, below: width)
    )
    let sum = Variable(0, .f32)
    let row = Position(p) * size + Position(r)
    let isInside = Scalar.compare(.less, .position(row), .integer(Int64(rows), .i64))
    return Sample(
      "column_sums_\(rows)_\(width)", [input(rows * width), output(width), workspace(pieces * width)],
      [
        parallel(p, [
          vector(c, [store(2, Position(p) * width + Position(c), .float(0))]),
          serial(r, [
            vector(c, [
              store(
                2, Position(p) * width + Position(c),
                load(2, Position(p) * width + Position(c)) + load(0, row * width + Position(c), where: isInside))
            ])
          ]),
        ]),
        parallel(c, [
          .accumulator(sum, .sum),
          serial(p, [.accumulate(sum, .sum, load(2, Position(p) * width + Position(c)))]),
          store(1, Position(c), .variable(sum)),
        ]),
      ])
  }

  /// One combination for two nested loops, two accumulators at once, and scalar and lane contributions to one.
  static let nested: Sample = {
    let (i, k, j) = (LoopVariable(0, below: 11), LoopVariable(1, below: 5), LoopVariable(2, below: 70))
    let (sum, most) = (Variable(0, .f32), Variable(1, .f32))
    let value = load(0, Position(i) * 350 + Position(k) * 70 + Position(j))
    return Sample(
      "nested", [input(11 * 350), output(22)],
      [
        parallel(i, [
          .accumulator(sum, .sum), .accumulator(most, .maximum),
          .accumulate(sum, .sum, .float(100)),
          serial(k, [
            vector(j, [.accumulate(sum, .sum, value), .accumulate(most, .maximum, value)]),
            .accumulate(sum, .sum, .float(0.5)),
          ]),
          store(1, Position(i) * 2, .variable(sum)), store(1, Position(i) * 2 + 1, .variable(most)),
        ])
      ])
  }()

  /// Last pieces: loops of all kinds that end below a limit.
  static let pieces: Sample = {
    let (i, k, j) = (LoopVariable(0, below: 7), LoopVariable(1, below: 4), LoopVariable(2, below: 40))
    let count = 250
    let at = Position(i) * 40 + Position(j)
    return Sample(
      "pieces", [input(count), output(count), output(7)],
      [
        parallel(i, [vector(j, limit: Position(i) * -40 + count, [store(1, at, load(0, at) * .float(2))])]),
        .loop(
          Loop(i, .parallel, limit: Position(7), [
            .accumulator(Variable(0, .f32), .sum),
            serial(k, limit: Position(i) + 1, [.accumulate(Variable(0, .f32), .sum, load(0, Position(i) + Position(k)))]),
            store(2, Position(i), .variable(Variable(0, .f32))),
          ])),
      ])
  }()

  /// Vector loops under a condition that a row decides, with barriers in them.
  static let conditionalVector: Sample = {
    let (i, j) = (LoopVariable(0, below: 23), LoopVariable(1, below: 90))
    let (first, sum) = (Variable(0, .f32), Variable(1, .f32))
    let at = Position(i) * 90 + Position(j)
    return Sample(
      "conditional_vector", [input(23 * 90), output(23 * 90), local(90), local(1)],
      [
        parallel(i, [
          .define(first, load(0, Position(i) * 90)),
          vector(j, [store(1, at, .float(-1))]),
          store(3, Position(0), .float(7)),
          .conditional(
            .compare(.greater, .variable(first), .float(0)),
            [
              .accumulator(sum, .sum),
              vector(j, [store(2, Position(j), load(0, at)), .accumulate(sum, .sum, load(0, at))]),
              store(3, Position(0), .variable(sum)),
              vector(j, [store(1, at, load(2, Position(j) * -1 + 89) + load(3, Position(0)))]),
            ]),
        ])
      ])
  }()

  /// Conditions and accumulators of single lanes, serial loops in lanes.
  static let conditionalLane: Sample = {
    let (i, j, k) = (LoopVariable(0, below: 13), LoopVariable(1, below: 44), LoopVariable(2, below: 3))
    let (sum, count) = (Variable(0, .f32), Variable(1, .i32))
    let at = Position(i) * 44 + Position(j)
    return Sample(
      "conditional_lane", [input(13 * 44), output(13 * 44), output(13, .i32)],
      [
        parallel(i, [
          .accumulator(count, .sum),
          vector(j, [
            .accumulator(sum, .sum),
            serial(k, [.accumulate(sum, .sum, load(0, at) * .convert(.position(Position(k)), .f32))]),
            store(1, at, .variable(sum)),
            .conditional(
              .compare(.less, load(0, at), .float(0)),
              [store(1, at, .float(0)), .accumulate(count, .sum, .integer(1, .i32))]),
          ]),
          store(2, Position(i), .variable(count)),
        ])
      ])
  }()

  /// Scalar code that keeps the three largest of a row in a small local, by insertion.
  static let insertion: Sample = {
    let (i, j, k) = (LoopVariable(0, below: 19), LoopVariable(1, below: 41), LoopVariable(2, below: 3))
    let (x, y) = (Variable(0, .f32), Variable(1, .f32))
    return Sample(
      "insertion", [input(19 * 41), output(19 * 3), local(3)],
      [
        parallel(i, [
          serial(k, [store(2, Position(k), .float(-.infinity))]),
          serial(j, [
            store(2, Position(2), .binary(.maximum, load(2, Position(2)), load(0, Position(i) * 41 + Position(j)))),
            serial(LoopVariable(3, below: 2), [
              .define(x, load(2, Position(LoopVariable(3, below: 2)) * -1 + 1)),
              .define(y, load(2, Position(LoopVariable(3, below: 2)) * -1 + 2)),
              store(2, Position(LoopVariable(3, below: 2)) * -1 + 1, .binary(.maximum, .variable(x), .variable(y))),
              store(2, Position(LoopVariable(3, below: 2)) * -1 + 2, .binary(.minimum, .variable(x), .variable(y))),
            ]),
          ]),
          vector(k, [store(1, Position(i) * 3 + Position(k), load(2, Position(k)))]),
        ])
      ])
  }()

  /// A local that fits no chip.
  static let large: Sample = {
    let (i, j) = (LoopVariable(0, below: 5), LoopVariable(1, below: 60_000))
    let sum = Variable(0, .f32)
    return Sample(
      "large", [input(5), output(5), local(60_000)],
      [
        parallel(i, [
          vector(j, [
            store(2, Position(j), load(0, Position(i)) + .convert(.position(Position(j) % 16), .f32))
          ]),
          .accumulator(sum, .maximum),
          vector(j, [.accumulate(sum, .maximum, load(2, Position(j) * -1 + 59_999))]),
          store(1, Position(i), .variable(sum)),
        ])
      ])
  }()

  /// A serial loop whose iterations read what other lanes wrote in the one before.
  static let updatedInTurn: Sample = {
    let (i, k, j) = (LoopVariable(0, below: 6), LoopVariable(1, below: 4), LoopVariable(2, below: 75))
    let j1 = (Position(j) + 1) % 75
    return Sample(
      "updated_in_turn", [input(6 * 75), output(6 * 75), local(75), local(75)],
      [
        parallel(i, [
          vector(j, [store(2, Position(j), load(0, Position(i) * 75 + Position(j)))]),
          serial(k, [
            vector(j, [store(3, Position(j), load(2, j1) + load(2, Position(j)))]),
            vector(j, [store(2, Position(j), load(3, j1) * .float(0.5))]),
          ]),
          vector(j, [store(1, Position(i) * 75 + Position(j), load(2, Position(j)))]),
        ])
      ])
  }()

  /// Rows that lanes take turns with scalar code on one buffer.
  static let scalarRows: Sample = {
    let (i, k, j) = (LoopVariable(0, below: 8), LoopVariable(1, below: 5), LoopVariable(2, below: 64))
    return Sample(
      "scalar_rows", [input(8 * 64), output(8 * 5), local(64)],
      [
        parallel(i, [
          serial(k, [
            vector(j, [store(2, Position(j), load(0, Position(i) * 64 + Position(j)) * .convert(.position(Position(k)), .f32))]),
            store(1, Position(i) * 5 + Position(k), load(2, Position(k)) + load(2, Position(63))),
          ])
        ])
      ])
  }()

  /// Stages without iterations.
  static let empty: Sample = {
    let (none, i) = (LoopVariable(0, below: 0), LoopVariable(1, below: 4))
    return Sample(
      "empty", [input(4), output(4)],
      [parallel(none, [store(1, Position(0), .float(9))]), parallel(i, [store(1, Position(i), load(0, Position(i)))])])
  }()

  /// A reduction over lanes; NaN among the floats once.
  static func reduced(_ reduction: Reduction, _ dtype: DType) -> [Sample] {
    let isLogical = reduction == .any || reduction == .all
    if isLogical != (dtype == .bool) { return [] }
    let type = ScalarType(dtype)
    let (i, j) = (LoopVariable(0, below: 6), LoopVariable(1, below: 77))
    let result = Variable(0, type)
    func sample(_ name: String, seed: UInt64) -> Sample {
      Sample(
        "\(name)_\(reduction)_\(dtype)", [input(6 * 77, dtype), output(6, dtype)],
        [
          parallel(i, [
            .accumulator(result, reduction),
            vector(j, [.accumulate(result, reduction, load(0, Position(i) * 77 + Position(j), as: type))]),
            store(1, Position(i), .variable(result)),
          ])
        ], seed: seed
      ).tolerance(dtype == .bf16 ? 1e-2 : 1e-5)
    }
    guard dtype == .f32 else { return [sample("reduced", seed: 3)] }
    var special = sample("special", seed: 4)
    var values = special.inputs[0].doubles
    (values[5], values[77 + 76], values[160], values[300]) = (.nan, -.infinity, .infinity, .nan)
    special.inputs = [Literal(special.inputs[0].type, floats: values)]
    return [sample("reduced", seed: 3), special]
  }
}
