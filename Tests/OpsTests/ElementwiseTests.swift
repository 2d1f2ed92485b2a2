import IR
import Ops
import TestSupport
import Testing

@Suite("elementwise ops") struct ElementwiseTests {
  @Test("integers wrap around at their width")
  func integersWrap() throws {
    #expect(try apply(Binary(.add), .longs(.max, .min), .longs(1, -1))[0].integers == [.min, .max])
    #expect(try apply(Binary(.multiply), .longs(.max), .longs(2))[0].integers == [-2])
    #expect(try apply(Binary(.add), .ints(2_147_483_647), .ints(1))[0].integers == [-2_147_483_648])
    #expect(try apply(Binary(.subtract), .bytes(3), .bytes(5))[0].integers == [254])
    #expect(try apply(Unary(.negate), .longs(.min))[0].integers == [.min])
    #expect(try apply(Unary(.absolute), .longs(.min, -5))[0].integers == [.min, 5])
    #expect(try apply(Unary(.negate), .bytes(1))[0].integers == [255])
  }

  @Test("rounding by chance gives a neighbour, and the number itself in the mean")
  func ditheredCast() throws {
    // A third of the way from 1 to the next bf16 number, 1 + 1/128.
    let x = Float(1 + 1.0 / 384)
    let bits = (0..<65536).map { Int64($0) }
    let cast = DitheredCast()
    let rounded = cast.reference([
      Literal(.f32(65536), floats: [Double](repeating: Double(x), count: 65536)),
      Literal(TensorType(.i32, [65536]), integers: bits),
    ])[0].doubles
    #expect(Set(rounded) == [1, 1 + 1.0 / 128])
    #expect(abs(rounded.reduce(0, +) / 65536 - Double(x)) < 1e-7)
    let odd = Literal.floats(.infinity, -.infinity, .nan, -1.5)
    let kept = cast.reference([odd, Literal(TensorType(.i32, [4]), integers: [65535, 65535, 65535, 65535])])[0].doubles
    #expect(kept[0] == .infinity && kept[1] == -.infinity && kept[2].isNaN && kept[3] == -1.5)
  }

  @Test("integer division rounds down, and by zero gives zero")
  func division() throws {
    let (x, y) = (Literal.longs(7, -7, 7, -7, 5, .min), Literal.longs(2, 2, -2, -2, 0, -1))
    #expect(try apply(Binary(.divide), x, y)[0].integers == [3, -4, -4, 3, 0, .min])
    #expect(try apply(Binary(.remainder), x, y)[0].integers == [1, 1, -1, -1, 0, 0])
    #expect(try apply(Binary(.divide), .ints(-2_147_483_648), .ints(-1))[0].integers == [-2_147_483_648])
  }

  @Test("the remainder of floats has the sign of the divisor")
  func floatRemainder() throws {
    #expect(try apply(Binary(.remainder), .floats(5.5, -5.5, 5.5), .floats(2, 2, -2))[0].doubles == [1.5, 0.5, -0.5])
  }

  @Test("shifts beyond the width give zero, and to the right bring zeros in")
  func shifts() throws {
    #expect(try apply(Binary(.shiftLeft), .longs(1, 1, 1), .longs(63, 64, -1))[0].integers == [.min, 0, 0])
    #expect(try apply(Binary(.shiftRight), .longs(-1, -1, -1), .longs(63, 64, 0))[0].integers == [1, 0, -1])
    #expect(try apply(Binary(.shiftRight), .ints(-1, -1), .ints(28, 32))[0].integers == [15, 0])
    #expect(try apply(Binary(.shiftLeft), .bytes(3, 3), .bytes(7, 8))[0].integers == [128, 0])
  }

  @Test("the larger and the smaller of a number and NaN is NaN")
  func nanWins() throws {
    for function in [BinaryFunction.maximum, .minimum] {
      let result = try apply(Binary(function), .floats(.nan, 1), .floats(1, .nan))[0].doubles
      #expect(result.allSatisfy { $0.isNaN })
    }
    for kind in [Reduction.maximum, .minimum] {
      #expect(try apply(Reduce(kind, axes: [0]), .floats(1, .nan, 3))[0].doubles[0].isNaN)
    }
  }

  @Test("NaN is not equal to itself")
  func nanCompares() throws {
    let nan = Literal.floats(.nan)
    for comparison in Comparison.allCases {
      #expect(try apply(Compare(comparison), nan, nan)[0].integers == [comparison == .notEqual ? 1 : 0])
    }
  }

  @Test("casts stop at the limits of integers")
  func casts() throws {
    let x = Literal.floats(2.9, -2.9, 1e30, -1e30, .nan, .infinity)
    #expect(try apply(Cast(.i32), x)[0].integers == [2, -2, 2_147_483_647, -2_147_483_648, 0, 2_147_483_647])
    #expect(try apply(Cast(.i64), x)[0].integers == [2, -2, .max, .min, 0, .max])
    #expect(try apply(Cast(.u8), .floats(300, -4, 7.7, .nan))[0].integers == [255, 0, 7, 0])
    #expect(try apply(Cast(.bool), .floats(0, -0.0, 0.1, .nan))[0].integers == [0, 0, 1, 1])
    #expect(try apply(Cast(.u8), .longs(257, -1))[0].integers == [1, 255])
    #expect(try apply(Cast(.bf16), .floats(1.00390625, 1.01171875))[0].doubles == [1, 1.015625])
  }

  @Test("constants are equal when they are the same to the bit")
  func constants() {
    #expect(Constant(.nan, .f32(2)) == Constant(.nan, .f32(2)))
    #expect(Constant(0, .f32(2)) != Constant(-0.0, .f32(2)))
    #expect(Constant(integer: 300, TensorType(.u8, [1])) == Constant(integer: 44, TensorType(.u8, [1])))
    #expect(Constant(integer: .max, .i64()).integer == .max)
  }

  @Test("the gradient of a power exists where base or exponent is zero")
  func powerAtZero() throws {
    var builder = FunctionBuilder(name: "f")
    let (x, y) = (builder.parameter(.f32(3)), builder.parameter(.f32(3)))
    let z = try builder.emit(Binary(.power), x, y)
    var g = GradientBuilder(operands: [x, y], results: [z], upstream: [builder.parameter(.f32(3))], builder: builder)
    let gradients = try Binary(.power).gradient(&g)
    g.builder.function.results = gradients.compactMap { $0 }
    let results = try run(g.builder.function, .floats(0, 0, 2), .floats(2, 0, 0), .floats(1, 1, 1))
    #expect(results[0].doubles == [0, 0, 0])
    #expect(results[1].doubles.map { $0.isNaN } == [false, false, false])
  }
}
