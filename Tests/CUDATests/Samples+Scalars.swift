import IR

extension Sample {
  /// Every function of scalars, every element type, positions of all forms.
  static let scalars: [Sample] =
    [copied(.f32), unaryFloats, binaryFloats, specialFloats, comparisons, positions, guarded, constants, rounding]
    + [binaryIntegers(.i32), binaryIntegers(.i64), unaryIntegers(.i32), unaryIntegers(.i64), logical, conversions]
    + DType.allCases.dropFirst().map(copied)

  /// One output for each of `values`, element by element over `count` positions; rows of the output are the values.
  static func each(
    _ name: String, _ count: Int, _ inputs: [Literal], _ result: DType, _ values: [(Position) -> Scalar]
  ) -> Sample {
    let i = LoopVariable(0, below: count)
    let buffers = inputs.map { input($0.type.count, $0.type.dtype) } + [output(count * values.count, result)]
    let stores = values.enumerated().map { number, value in
      store(inputs.count, Position(i) + number * count, value(Position(i)))
    }
    return Sample(name, buffers, [parallel(i, stores)], inputs: inputs)
  }

  static func copied(_ dtype: DType) -> Sample {
    let i = LoopVariable(0, below: 100)
    return Sample(
      "copied_\(dtype)", [input(100, dtype), output(100, dtype)],
      [parallel(i, [store(1, Position(i), load(0, Position(i), as: ScalarType(dtype)))])])
  }

  static let ordinary = Literal(.f32(9), floats: [-2.5, -1, -0.25, 0, 0.125, 0.5, 1, 3, 40])

  static let unaryFloats: Sample = {
    let all = UnaryFunction.allCases.filter { $0 != .not }
    let positive = Literal(.f32(9), floats: [1e-3, 0.25, 0.5, 1, 1.5, 2, 3, 10, 50])
    return each(
      "unary_floats", 9, [ordinary, positive], .f32,
      all.map { function in
        let needsPositive = [.squareRoot, .logarithm, .reciprocalSquareRoot].contains(function)
        let scale = function == .exponential ? 0.1 : 1
        return { at in .unary(function, load(needsPositive ? 1 : 0, at) * .float(scale)) }
      })
  }()

  static let floatFunctions: [BinaryFunction] = [.add, .subtract, .multiply, .divide, .remainder, .maximum, .minimum]

  static let binaryFloats: Sample = {
    let other = Literal(.f32(9), floats: [3, -1.5, 0.75, 2, -4, 0.5, -1, 7, 0.3])
    let power: (Position) -> Scalar = { .binary(.power, .unary(.absolute, load(0, $0)), load(1, $0)) }
    let multiplyAdd: (Position) -> Scalar = { .fusedMultiplyAdd(load(0, $0), load(1, $0), .float(1.5)) }
    let selected: (Position) -> Scalar = {
      .select(.compare(.less, load(0, $0), load(1, $0)), load(0, $0), load(1, $0) * .float(2))
    }
    return each(
      "binary_floats", 9, [ordinary, other], .f32,
      floatFunctions.map { function in { .binary(function, load(0, $0), load(1, $0)) } }
        + [power, multiplyAdd, selected])
  }()

  /// NaN and infinities: the ends of ranges where the result is a rule, not rounding.
  static let specialFloats: Sample = {
    let values: [Double] = [.nan, -.infinity, .infinity, 0, -1, 3]
    let (x, y) = (values.flatMap { a in values.map { _ in a } }, values.flatMap { _ in values })
    let inputs = [Literal(.f32(36), floats: x), Literal(.f32(36), floats: y)]
    let binary: [(Position) -> Scalar] = floatFunctions.map { function in { .binary(function, load(0, $0), load(1, $0)) } }
    let unary: [(Position) -> Scalar] = [.negate, .absolute, .floor, .exponential, .tanh, .sigmoid, .erf].map { function in
      { .unary(function, load(0, $0)) }
    }
    let rounded: [(Position) -> Scalar] = [.bf16, .f16, .f32].map { dtype in { .round(load(0, $0), dtype) } }
    return each("special_floats", 36, inputs, .f32, binary + unary + rounded)
  }()

  static let comparisons: Sample = {
    let values: [Double] = [.nan, -.infinity, 0, 1, 1, 2]
    let (x, y) = (values.flatMap { a in values.map { _ in a } }, values.flatMap { _ in values })
    let inputs = [Literal(.f32(36), floats: x), Literal(.f32(36), floats: y)]
    let floats: [(Position) -> Scalar] = Comparison.allCases.map { comparison in
      { .compare(comparison, load(0, $0), load(1, $0)) }
    }
    let integers: [(Position) -> Scalar] = Comparison.allCases.map { comparison in
      { .compare(comparison, .position($0 % 5), .position($0 / 7)) }
    }
    return each("comparisons", 36, inputs, .bool, floats + integers)
  }()

  static func integers(_ dtype: DType) -> (Literal, Literal) {
    let narrow: [Int64] = [-7, -3, -1, 0, 1, 2, 5, 31, 32, 33, Int64(Int32.max), Int64(Int32.min)]
    let values = dtype == .i32 ? narrow : narrow + [63, 64, 1 << 40, .max, .min]
    let type = TensorType(dtype, [values.count * values.count])
    return (
      Literal(type, integers: values.flatMap { a in values.map { _ in a } }),
      Literal(type, integers: values.flatMap { _ in values })
    )
  }

  static func binaryIntegers(_ dtype: DType) -> Sample {
    let (x, y) = integers(dtype)
    let functions = BinaryFunction.allCases.filter { $0 != .power }
    let type = ScalarType(dtype)
    return each(
      "binary_\(dtype)", x.type.count, [x, y], dtype,
      functions.map { function in { .binary(function, load(0, $0, as: type), load(1, $0, as: type)) } })
  }

  static func unaryIntegers(_ dtype: DType) -> Sample {
    let (_, y) = integers(dtype)
    let type = ScalarType(dtype)
    return each(
      "unary_\(dtype)", y.type.count, [y], dtype,
      [.negate, .absolute, .floor, .not].map { function in { .unary(function, load(0, $0, as: type)) } })
  }

  static let logical: Sample = {
    let (x, y) = (Literal(TensorType(.bool, [4]), integers: [0, 0, 1, 1]), Literal(TensorType(.bool, [4]), integers: [0, 1, 0, 1]))
    let functions: [BinaryFunction] = [.and, .or, .xor, .add, .multiply, .maximum, .minimum]
    let binary: [(Position) -> Scalar] = functions.map { function in
      { .binary(function, load(0, $0, as: .bool), load(1, $0, as: .bool)) }
    }
    let not: (Position) -> Scalar = { .unary(.not, load(0, $0, as: .bool)) }
    let equal: (Position) -> Scalar = { .compare(.equal, load(0, $0, as: .bool), load(1, $0, as: .bool)) }
    return each("logical", 4, [x, y], .bool, binary + [not, equal])
  }()

  /// All conversions, to i64 and from there to what they came from.
  static let conversions: Sample = {
    let floats = Literal(.f32(8), floats: [.nan, -.infinity, .infinity, -2.75, 2.75, 3e9, -1e19, 0])
    let integers = Literal(.i64(8), integers: [0, 1, -1, 1 << 33, -(1 << 33) + 7, .max, .min, 16_777_217])
    let f: (Position) -> Scalar = { load(0, $0) }
    let n: (Position) -> Scalar = { load(1, $0, as: .i64) }
    func wide(_ value: @escaping (Position) -> Scalar) -> (Position) -> Scalar { { .convert(value($0), .i64) } }
    let values: [(Position) -> Scalar] = [
      wide(f), n, wide { .convert(f($0), .i32) }, wide { .convert(f($0), .bool) }, wide { .convert(n($0), .i32) },
      wide { .convert(n($0), .bool) }, wide { .convert(.convert(n($0), .bool), .i32) },
      wide { .convert(.convert(n($0), .i32), .bool) },
      wide { .convert(.convert(n($0), .bool), .f32) }, wide { .convert(.convert(.convert(n($0), .i32), .f32), .f32) },
      wide { .bitcast(.round(f($0), .f32), .i32) }, { .position($0 * 3 + -5) },
      wide { .bitcast(.bitcast(.convert(n($0), .i32), .f32), .i32) },
    ]
    var sample = each("conversions", 8, [floats, integers], .i64, values)
    // The bits of NaN are nobody's promise.
    sample.inputs[0] = Literal(.f32(8), floats: [-.infinity, .infinity, -2.75, 2.75, 3e9, -1e19, 0, 1e-40])
    return sample
  }()

  /// Positions with quotients, remainders and variables, negative ones too, and reads that follow an index.
  static let positions: Sample = {
    let (i, j) = (LoopVariable(0, below: 24), LoopVariable(1, below: 6))
    let (id, wrapped) = (Variable(0, .i64), Variable(1, .i32))
    let flat = Position(i) * 6 + Position(j)
    let shifted = flat + -50
    let ids = Literal(.i64(24), integers: (0..<24).map { Int64($0 * 7 % 24) })
    return Sample(
      "positions", [input(24, .i64), input(144), output(144), output(144, .i64)],
      [
        parallel(i, [
          .define(id, load(0, Position(i), as: .i64)),
          .define(wrapped, .convert(.variable(id), .i32)),
          vector(j, [
            store(2, flat, load(1, Position(id) * 6 + Position(j)) + load(1, Position(wrapped) * 6 + Position(j) * -1 + 5)),
            store(3, flat, .position((shifted / 7) * 10 + shifted % 7 + (Position(id) * 3 + -20) / 8 + (flat % 9) * 100)),
          ]),
        ])
      ],
      inputs: [ids, Literal(.f32(144), floats: (0..<144).map { Double($0) / 3 })])
  }()

  static let guarded: Sample = {
    let values = Literal(.f32(10), floats: (0..<10).map { Double($0) + 0.5 })
    return each(
      "guarded", 20, [values], .f32,
      [
        { load(0, $0, where: .compare(.less, .position($0), .integer(10, .i64))) },
        { load(0, $0 + -5, where: .binary(.and, .compare(.greaterOrEqual, .position($0), .integer(5, .i64)), .compare(.less, .position($0), .integer(15, .i64)))) },
      ])
  }()

  static let constants: Sample = {
    let values: [Double] = [0, -0.0, 1, -1.5, 0.1, 1e-38, 3.4e38, 1e-45, .infinity, -.infinity, .nan, 16_777_217]
    return each("constants", 1, [], .f32, values.map { value in { _ in .float(value) } })
  }()

  /// Every f16 and a bf16 between each pair of neighbours: ties, subnormals, overflow.
  static let rounding: Sample = {
    let count = 2000
    let bits = (0..<count).map { UInt32($0) &* 2_147_483_647 &* 3 &+ UInt32($0) << 12 }
    let ties = (0..<count).map { Float(bitPattern: 0x3300_0000 &+ UInt32($0) &* 0x0001_2800) }
    let drawn = bits.map { Float(bitPattern: $0) }.map { $0.isNaN ? 1 : $0 }
    let values = Literal(.f32(2 * count), floats: (drawn + ties).map(Double.init))
    return each(
      "rounding", 2 * count, [values], .f32,
      [{ .round(load(0, $0), .bf16) }, { .round(load(0, $0), .f16) }])
  }()
}
