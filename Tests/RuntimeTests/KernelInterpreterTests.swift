import Foundation
import IR
import Runtime
import TestSupport
import Testing

/// A kernel with one output, computed element by element from its inputs.
func elementwise(_ type: TensorType, inputs: [TensorType], _ element: (Position) -> Scalar) -> Kernel {
  let i = LoopVariable(0, below: type.count)
  var buffers = inputs.enumerated().map { Kernel.Buffer("in\($0)", $1.dtype, $1.count, .input) }
  buffers.append(Kernel.Buffer("out", type.dtype, type.count, .output))
  let store = Statement.store(BufferID(inputs.count), Position(i), element(Position(i)))
  return Kernel(name: "k", buffers: buffers, body: [.loop(Loop(i, .parallel, [store]))])
}

func load(_ buffer: Int, _ dtype: DType, _ at: Position, where condition: Scalar? = nil) -> Scalar {
  .load(BufferID(buffer), ScalarType(dtype), at, guard: condition)
}

@Suite("kernel interpreter") struct KernelInterpreterTests {
  let values: [Double] = [-2.5, -1, -0.25, 0, 0.5, 3, .infinity, .nan]
  let integers: [Int64] = [-7, -1, 0, 1, 5, Int64(Int32.max), Int64(Int32.min), 1 << 40]

  func run(_ function: UnaryFunction) throws -> [Double] {
    let kernel = elementwise(.f32(8), inputs: [.f32(8)]) { .unary(function, load(0, .f32, $0)) }
    return try KernelInterpreter.run(kernel, inputs: [Literal(.f32(8), floats: values)], resultTypes: [.f32(8)])[0]
      .doubles
  }

  func same(_ a: [Double], _ b: [Double]) -> Bool { zip(a, b).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) } }

  @Test("functions of floats are those of double precision")
  func unaryFloats() throws {
    let wanted: [(UnaryFunction, (Double) -> Double)] = [
      (.negate, { -$0 }), (.absolute, { abs($0) }), (.squareRoot, { $0.squareRoot() }), (.floor, { $0.rounded(.down) }),
      (.exponential, { exp($0) }), (.logarithm, { log($0) }), (.sine, { sin($0) }), (.cosine, { cos($0) }),
      (.tanh, { tanh($0) }), (.sigmoid, { 1 / (1 + exp(-$0)) }), (.erf, { erf($0) }),
      (.reciprocalSquareRoot, { 1 / $0.squareRoot() }),
    ]
    for (function, body) in wanted { #expect(same(try run(function), values.map(body)), "\(function)") }
    #expect(throws: Diagnostic.self) { try run(.not) }
  }

  /// Every pair of the values.
  func pairs<T>(_ values: [T]) -> ([T], [T]) {
    (values.flatMap { a in values.map { _ in a } }, values.flatMap { _ in values })
  }

  func binary(_ function: BinaryFunction, _ type: TensorType, _ a: Literal, _ b: Literal) throws -> Literal {
    let kernel = elementwise(type, inputs: [type, type]) {
      .binary(function, load(0, type.dtype, $0), load(1, type.dtype, $0))
    }
    return try KernelInterpreter.run(kernel, inputs: [a, b], resultTypes: [type])[0]
  }

  @Test("functions of two floats")
  func binaryFloats() throws {
    let (x, y) = pairs(values)
    let type = TensorType.f32(x.count)
    let wanted: [(BinaryFunction, (Double, Double) -> Double)] = [
      (.add, { $0 + $1 }), (.subtract, { $0 - $1 }), (.multiply, { $0 * $1 }), (.divide, { $0 / $1 }),
      (.remainder, { $0 - $1 * ($0 / $1).rounded(.down) }), (.power, { pow($0, $1) }),
      (.maximum, { $0.isNaN || $1.isNaN ? .nan : max($0, $1) }),
      (.minimum, { $0.isNaN || $1.isNaN ? .nan : min($0, $1) }),
    ]
    for (function, body) in wanted {
      let got = try binary(function, type, Literal(type, floats: x), Literal(type, floats: y)).doubles
      #expect(same(got, zip(x, y).map(body)), "\(function)")
    }
  }

  @Test("functions of two integers wrap at their width", arguments: [DType.i32, .i64])
  func binaryIntegers(dtype: DType) throws {
    let drawn = dtype == .i32 ? integers.dropLast() : integers + [.min, .max]
    let (x, y) = pairs(Array(drawn))
    let type = TensorType(dtype, [x.count])
    func wrap(_ value: Int64) -> Int64 { dtype == .i32 ? Int64(Int32(truncatingIfNeeded: value)) : value }
    func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
      if b == 0 { return 0 }
      if b == -1 { return 0 &- a }
      let rest = ((a % b) &+ b) % b
      return (a &- rest) / b
    }
    let width = Int64(dtype == .i32 ? 32 : 64)
    let wanted: [(BinaryFunction, (Int64, Int64) -> Int64)] = [
      (.add, { $0 &+ $1 }), (.subtract, { $0 &- $1 }), (.multiply, { $0 &* $1 }),
      (.maximum, { max($0, $1) }), (.minimum, { min($0, $1) }),
      (.and, { $0 & $1 }), (.or, { $0 | $1 }), (.xor, { $0 ^ $1 }),
      (.shiftLeft, { $1 >= 0 && $1 < width ? $0 << $1 : 0 }),
      (
        .shiftRight,
        {
          guard $1 >= 0, $1 < width else { return 0 }
          return dtype == .i32
            ? Int64(Int32(bitPattern: UInt32(truncatingIfNeeded: $0) >> UInt32($1)))
            : Int64(bitPattern: UInt64(bitPattern: $0) >> UInt64($1))
        }
      ),
    ]
    for (function, body) in wanted {
      let got = try binary(function, type, Literal(type, integers: x), Literal(type, integers: y)).integers
      #expect(got == zip(x, y).map { wrap(body($0, $1)) }, "\(function)")
    }
    let quotients = try binary(.divide, type, Literal(type, integers: x), Literal(type, integers: y)).integers
    let remainders = try binary(.remainder, type, Literal(type, integers: x), Literal(type, integers: y)).integers
    for (number, (a, b)) in zip(x, y).enumerated() {
      let (quotient, remainder) = (quotients[number], remainders[number])
      if b == 0 {
        #expect(quotient == 0 && remainder == 0)
      } else {
        #expect(wrap(quotient &* b &+ remainder) == a, "\(a) by \(b)")
        #expect(remainder == 0 || (remainder < 0) == (b < 0), "\(a) by \(b)")
        #expect(remainder.magnitude < b.magnitude)
      }
    }
    #expect(throws: Diagnostic.self) {
      try binary(.power, type, Literal(type, integers: x), Literal(type, integers: y))
    }
  }

  @Test("functions of one integer and of truth values")
  func unaryIntegers() throws {
    let minimum = Literal(.i64(3), integers: [.min, -3, 4])
    for (function, wanted) in [
      (UnaryFunction.negate, [Int64.min, 3, -4]), (.absolute, [.min, 3, 4]), (.not, [.max, 2, -5]),
      (.floor, [.min, -3, 4]),
    ] {
      let kernel = elementwise(.i64(3), inputs: [.i64(3)]) { .unary(function, load(0, .i64, $0)) }
      #expect(try KernelInterpreter.run(kernel, inputs: [minimum], resultTypes: [.i64(3)])[0].integers == wanted)
    }
    let bools = TensorType(.bool, [2])
    let not = elementwise(bools, inputs: [bools]) { .unary(.not, load(0, .bool, $0)) }
    #expect(
      try KernelInterpreter.run(not, inputs: [Literal(bools, integers: [0, 1])], resultTypes: [bools])[0].integers == [
        1, 0,
      ])
    let four = TensorType(.bool, [4])
    let (a, b) = (Literal(four, integers: [0, 0, 1, 1]), Literal(four, integers: [0, 1, 0, 1]))
    for (function, wanted) in [
      (BinaryFunction.and, [Int64(0), 0, 0, 1]), (.or, [0, 1, 1, 1]), (.xor, [0, 1, 1, 0]), (.add, [0, 1, 1, 1]),
      (.multiply, [0, 0, 0, 1]), (.maximum, [0, 1, 1, 1]), (.minimum, [0, 0, 0, 1]),
    ] { #expect(try binary(function, four, a, b).integers == wanted) }
  }

  @Test("comparisons follow IEEE, NaN is unequal to itself")
  func comparisons() throws {
    let (x, y) = pairs(values)
    let wanted: [(Comparison, (Double, Double) -> Bool)] = [
      (.equal, { $0 == $1 }), (.notEqual, { $0 != $1 }), (.less, { $0 < $1 }), (.lessOrEqual, { $0 <= $1 }),
      (.greater, { $0 > $1 }), (.greaterOrEqual, { $0 >= $1 }),
    ]
    let (type, result) = (TensorType.f32(x.count), TensorType(.bool, [x.count]))
    for (comparison, body) in wanted {
      let kernel = elementwise(result, inputs: [type, type]) {
        .compare(comparison, load(0, .f32, $0), load(1, .f32, $0))
      }
      let operands = [Literal(type, floats: x), Literal(type, floats: y)]
      let got = try KernelInterpreter.run(kernel, inputs: operands, resultTypes: [result])[0].integers
      #expect(got == zip(x, y).map { body($0, $1) ? 1 : 0 }, "\(comparison)")
    }
  }

  @Test("conversions truncate and saturate")
  func conversions() throws {
    let floats = Literal(.f32(6), floats: [-2.9, 2.9, 1e30, -1e30, .nan, 3e9])
    func convert(_ dtype: DType) throws -> [Int64] {
      let type = TensorType(dtype, [6])
      let kernel = elementwise(type, inputs: [.f32(6)]) { .convert(load(0, .f32, $0), ScalarType(dtype)) }
      return try KernelInterpreter.run(kernel, inputs: [floats], resultTypes: [type])[0].integers
    }
    let (low, high) = (Int64(Int32.min), Int64(Int32.max))
    #expect(try convert(.i32) == [-2, 2, high, low, 0, high])
    #expect(try convert(.i64) == [-2, 2, .max, .min, 0, 3_000_000_000])
    #expect(try convert(.bool) == [1, 1, 1, 1, 1, 1])
    #expect(try convert(.u8) == [-2, 2, high, low, 0, high].map { $0 & 0xff })

    let narrow = elementwise(TensorType(.i32, [8]), inputs: [.i64(8)]) { .convert(load(0, .i64, $0), .i32) }
    let wrapped = try KernelInterpreter.run(
      narrow, inputs: [Literal(.i64(8), integers: integers)], resultTypes: [TensorType(.i32, [8])])
    #expect(wrapped[0].integers == integers.map { Int64(Int32(truncatingIfNeeded: $0)) })
    let widen = elementwise(.f32(8), inputs: [.i64(8)]) { .convert(load(0, .i64, $0), .f32) }
    let doubles = try KernelInterpreter.run(
      widen, inputs: [Literal(.i64(8), integers: integers)], resultTypes: [.f32(8)])
    #expect(doubles[0].doubles == integers.map(Double.init))
  }

  @Test("bits, rounding and narrow memory go through f32")
  func rounding() throws {
    let numbers: [Double] = [1.0 / 3, -1e-6, 65520, 1e-41, 1.00390625]
    let literal = Literal(.f32(5), floats: numbers)
    func run(_ type: TensorType, _ body: @escaping (Scalar) -> Scalar) throws -> Literal {
      let kernel = elementwise(type, inputs: [.f32(5)]) { body(load(0, .f32, $0)) }
      return try KernelInterpreter.run(kernel, inputs: [literal], resultTypes: [type])[0]
    }
    #expect(try run(.f32(5)) { $0 }.doubles == numbers, "f32 is not rounded")
    #expect(try run(.f32(5)) { .round($0, .f32) }.doubles == numbers.map { Double(Float($0)) })
    let bf16 = Literal(TensorType(.bf16, [5]), floats: numbers).doubles
    let f16 = Literal(TensorType(.f16, [5]), floats: numbers).doubles
    #expect(try run(.f32(5)) { .round($0, .bf16) }.doubles == bf16)
    #expect(try run(.f32(5)) { .round($0, .f16) }.doubles == f16)
    #expect(try run(TensorType(.bf16, [5])) { $0 }.doubles == bf16)
    #expect(try run(TensorType(.f16, [5])) { $0 }.doubles == f16)
    let bits = numbers.map { Int64(Int32(bitPattern: Float($0).bitPattern)) }
    #expect(try run(TensorType(.i32, [5])) { .bitcast($0, .i32) }.integers == bits)
    #expect(try run(.f32(5)) { .bitcast(.bitcast($0, .i32), .f32) }.doubles == numbers.map { Double(Float($0)) })
    #expect(throws: Diagnostic.self) { try run(.i64(5)) { .bitcast($0, .i64) } }
  }

  @Test("select, fused multiply-add and a guarded load")
  func choices() throws {
    let kernel = elementwise(.f32(4), inputs: [.f32(2)]) { at in
      let inside = Scalar.compare(.less, .position(at), .integer(2, .i64))
      let value = load(0, .f32, at, where: inside)
      return .select(inside, .fusedMultiplyAdd(value, .float(2), .float(1)), value - .float(1))
    }
    let got = try KernelInterpreter.run(kernel, inputs: [Literal(.f32(2), floats: [3, 4])], resultTypes: [.f32(4)])
    #expect(got[0].doubles == [7, 9, -1, -1])
  }

  @Test("positions divide towards minus infinity")
  func positions() throws {
    let i = LoopVariable(0, below: 9)
    let shifted = Position(i) * 5 + -11
    func run(_ at: Position) throws -> [Int64] {
      let kernel = Kernel(
        name: "k", buffers: [Kernel.Buffer("out", .i64, 9, .output)],
        body: [.loop(Loop(i, .parallel, [.store(BufferID(0), Position(i), .position(at))]))])
      return try KernelInterpreter.run(kernel, inputs: [], resultTypes: [.i64(9)])[0].integers
    }
    let plain = (0..<9).map { Int64($0 * 5 - 11) }
    #expect(try run(shifted) == plain)
    #expect(try run(shifted / 7) == plain.map { Int64((Double($0) / 7).rounded(.down)) })
    #expect(try run(shifted % 7) == plain.map { ($0 % 7 + 7) % 7 })
  }

  /// Row sums, a workspace read by the next stage, a vector loop, a limit, a local buffer and a conditional in one.
  @Test("stages, loops, limits, accumulators and local memory")
  func structure() throws {
    let (row, column, row2) = (LoopVariable(0, below: 3), LoopVariable(1, below: 4), LoopVariable(2, below: 3))
    let column2 = LoopVariable(3, below: 4)
    let (out, sums, local) = (BufferID(1), BufferID(2), BufferID(3))
    let sum = Variable(0, .f32)
    let top = Variable(1, .f32)
    let scale = Variable(2, .f32)
    let at = Position.offset(of: [Position(row), Position(column)], in: [3, 4])
    let first = Loop(
      row, .parallel,
      [
        .accumulator(sum, .sum), .accumulator(top, .maximum),
        .loop(
          Loop(
            column, .vector(width: 4, unroll: 1), limit: Position(row) + 2,
            [
              .store(local, Position(column), load(0, .f32, at) * .float(2)),
              .accumulate(sum, .sum, .load(local, .f32, Position(column), guard: nil)),
              .accumulate(top, .maximum, load(0, .f32, at)),
            ])),
        .store(sums, Position(row), .variable(sum) + .variable(top)),
      ])
    let at2 = Position.offset(of: [Position(row2), Position(column2)], in: [3, 4])
    let second = Loop(
      row2, .parallel,
      [
        .define(scale, .load(sums, .f32, Position(row2), guard: nil)),
        .loop(
          Loop(
            column2, .serial,
            [
              .store(out, at2, .float(0)),
              .conditional(.compare(.greater, load(0, .f32, at2), .float(5)), [.store(out, at2, .variable(scale))]),
            ])),
      ])
    let buffers: [Kernel.Buffer] = [
      .init("x", .f32, 12, .input), .init("out", .f32, 12, .output), .init("sums", .f32, 3, .workspace),
      .init("tile", .f32, 4, .local),
    ]
    let kernel = Kernel(name: "k", buffers: buffers, body: [.loop(first), .loop(second)])
    let input = Literal(.f32(3, 4), floats: (0..<12).map(Double.init))
    // The limits are 2, 3, 4: sums of doubled values 2, 30, 76 and greatest values 1, 6, 11.
    let got = try KernelInterpreter.run(kernel, inputs: [input], resultTypes: [.f32(3, 4)])[0].doubles
    #expect(got == [0, 0, 0, 0, 0, 0, 36, 36, 87, 87, 87, 87])
  }

  @Test("what was not stored is NaN, and locals are forgotten between iterations")
  func undefined() throws {
    let i = LoopVariable(0, below: 2)
    let kernel = Kernel(
      name: "k", buffers: [.init("out", .f32, 3, .output), .init("l", .f32, 1, .local)],
      body: [
        .loop(
          Loop(
            i, .parallel,
            [
              .store(BufferID(0), Position(i), .load(BufferID(1), .f32, Position(0), guard: nil)),
              .store(BufferID(1), Position(0), .float(1)),
            ]))
      ])
    let got = try KernelInterpreter.run(kernel, inputs: [], resultTypes: [.f32(3)])[0].doubles
    #expect(got.filter { !$0.isNaN } == [])
  }

  @Test("a product with strides, a row limit and accumulation", arguments: [false, true])
  func product(accumulates: Bool) throws {
    let (m, n, k) = (3, 2, 4)
    var generator = Seeded(3)
    let a = Literal.random(.f32(k, m), using: &generator)  // transposed
    let b = Literal.random(.f32(n, k), using: &generator)  // transposed
    let (i, j) = (LoopVariable(0, below: 1), LoopVariable(1, below: 6))
    let product = Product(
      m: m, n: n, k: k, rowLimit: Position(2), .init(BufferID(0), at: Position(0), rowStride: 1, columnStride: m),
      .init(BufferID(1), at: Position(0), rowStride: 1, columnStride: k),
      into: .init(BufferID(2), at: Position(0), rowStride: n, columnStride: 1), accumulates: accumulates)
    let buffers: [Kernel.Buffer] = [
      .init("a", .f32, 12, .input), .init("b", .f32, 8, .input), .init("c", .f32, 6, .output),
    ]
    let fill = Statement.loop(Loop(j, .parallel, [.store(BufferID(2), Position(j), .float(10))]))
    let kernel = Kernel(name: "k", buffers: buffers, body: [fill, .loop(Loop(i, .parallel, [.product(product)]))])
    let got = try KernelInterpreter.run(kernel, inputs: [a, b], resultTypes: [.f32(m, n)])[0]
    let wanted = Literal(.f32(m, n)) { at in
      if at[0] == 2 { return 10 }
      return (0..<k).reduce(accumulates ? 10 : 0) { $0 + a[[$1, at[0]]] * b[[at[1], $1]] }
    }
    #expect(got.difference(from: wanted) < 1e-12)
  }

  @Test(
    "integer sums, extremes and truth values accumulate",
    arguments: [
      (Reduction.sum, DType.i32, Int64(Int32.min) + 1), (.maximum, .i64, 1 << 40), (.minimum, .i64, -7),
      (.any, .bool, 1),
      (.all, .bool, 0),
    ])
  func reductions(reduction: Reduction, dtype: DType, wanted: Int64) throws {
    let drawn: [Int64] =
      dtype == .i32 ? [Int64(Int32.max), 2] : dtype == .bool ? [0, 1] : [-7, 1 << 40]
    let (row, i) = (LoopVariable(0, below: 1), LoopVariable(1, below: 2))
    let total = Variable(0, ScalarType(dtype))
    let type = TensorType(dtype, [2])
    let kernel = Kernel(
      name: "k", buffers: [.init("x", dtype, 2, .input), .init("out", dtype, 1, .output)],
      body: [
        .loop(
          Loop(
            row, .parallel,
            [
              .accumulator(total, reduction),
              .loop(Loop(i, .serial, [.accumulate(total, reduction, load(0, dtype, Position(i)))])),
              .store(BufferID(1), Position(0), .variable(total)),
            ]))
      ])
    let got = try KernelInterpreter.run(
      kernel, inputs: [Literal(type, integers: drawn)], resultTypes: [TensorType(dtype, [1])])
    #expect(got[0].integers == [wanted])
  }
}

@Suite("errors of kernels") struct KernelErrors {
  func message(_ kernel: Kernel, _ inputs: [Literal] = [], _ results: [TensorType] = [.f32(2)]) -> String {
    do {
      _ = try KernelInterpreter.run(kernel, inputs: inputs, resultTypes: results)
      return "no error"
    } catch { return error.message }
  }

  @Test("accesses outside a buffer name kernel, buffer and offset")
  func ranges() {
    let load = elementwise(.f32(2), inputs: [.f32(2)]) { .load(BufferID(0), .f32, $0 + 1, guard: nil) }
    let zeros = Literal.zeros(.f32(2))
    #expect(message(load, [zeros]) == "kernel @k: loads in0[2], which has 2 elements")
    let i = LoopVariable(0, below: 2)
    let store = Kernel(
      name: "s", buffers: [.init("out", .f32, 2, .output)],
      body: [.loop(Loop(i, .parallel, [.store(BufferID(0), Position(i) - Position(1), .float(0))]))])
    #expect(message(store) == "kernel @s: stores to out[-1], which has 2 elements")
    let far = Product(
      m: 2, n: 2, k: 2, .init(BufferID(0), at: Position(0), rowStride: .max, columnStride: 1),
      .init(BufferID(0), at: Position(0), rowStride: 1, columnStride: 1),
      into: .init(BufferID(0), at: Position(0), rowStride: 1, columnStride: 1))
    let product = Kernel(
      name: "p", buffers: [.init("out", .f32, 4, .output)], body: [.loop(Loop(i, .parallel, [.product(far)]))])
    #expect(message(product, [], [.f32(4)]).hasPrefix("kernel @p: multiplies out["))
  }

  @Test("malformed kernels are refused")
  func malformed() {
    let i = LoopVariable(0, below: 2)
    let j = LoopVariable(1, below: 2)
    let out = Kernel.Buffer("out", .f32, 2, .output)
    func kernel(_ body: Statement...) -> Kernel {
      Kernel(name: "k", buffers: [out], body: [.loop(Loop(i, .parallel, body))])
    }
    func store(_ value: Scalar, _ buffer: Int = 0) -> Statement { .store(BufferID(buffer), Position(i), value) }
    let x = Variable(7, .f32)
    #expect(message(kernel(store(.variable(x)))) == "kernel @k: uses variable 7 before it is defined")
    #expect(message(kernel(store(.integer(1, .i64)))) == "kernel @k: wants f32, got i64")
    #expect(message(kernel(store(.float(1), 3))) == "kernel @k: has no buffer number 3")
    #expect(
      message(kernel(.store(BufferID(0), Position(j), .float(1)))) == "kernel @k: uses counter 1 outside its loop")
    #expect(
      message(kernel(.loop(Loop(j, .parallel, [])))) == "kernel @k: a parallel loop stands inside another statement")
    #expect(
      message(Kernel(name: "k", buffers: [out], body: [store(.float(1))])) == "kernel @k: a stage is no parallel loop")
    #expect(
      message(kernel(.conditional(.boolean(true), [.define(x, .float(1))]), store(.variable(x))))
        == "kernel @k: uses variable 7 before it is defined")
    let vast = Kernel(name: "k", buffers: [out, .init("w", .f32, 1 << 60, .workspace)], body: [])
    #expect(message(vast) == "kernel @k: there is no memory for buffer w of \(1 << 60) elements")
    #expect(message(kernel(store(.float(1))), [.zeros(.f32(1))]) == "kernel @k: has 0 operands, got 1")
    #expect(
      message(kernel(store(.float(1))), [], [.f32(3)])
        == "kernel @k: wants 2 elements of f32 for out, got f32[3]")
  }
}
