#if LLVM
import IR
import LLVMBackend
import Runtime
import TestSupport
import Testing

/// Every scalar case in scalar code and in vectors, against the interpreter.
@Suite("machine code of scalars") struct ScalarTests {
  static let floats: [Double] = [
    -2.5, -1, -0.25, -0.0, 0, 0.5, 3, 1e-40, 7.25, 1e30, 3e38, .infinity, -.infinity, .nan, 2147483648, -2147483904, 9.3e18, -9.3e18, 65504, 65520, 1e-7,
    1.00390625, 3.0517578e-05, 1.17549435e-38,
  ]
  static let integers: [Int64] = [-7, -1, 0, 1, 5, 31, 32, 63, 64, 100, Int64(Int32.max), Int64(Int32.min), 1 << 40, .min, .max]

  static func values(_ dtype: DType) -> [Double] {
    dtype.isFloat ? floats.map { Literal(TensorType(dtype, [1]), floats: [Double(Float($0))]).doubles[0] } : []
  }

  /// All pairs of special values of a type.
  static func pairs(_ dtype: DType) -> (Literal, Literal) {
    if dtype.isFloat {
      let v = values(dtype)
      let type = TensorType(dtype, [v.count * v.count])
      return (Literal(type, floats: v.flatMap { a in v.map { _ in a } }), Literal(type, floats: v.flatMap { _ in v }))
    }
    let v = dtype == .bool ? [0, 1] : dtype == .u8 ? [0, 1, 7, 200, 255] : integers
    let type = TensorType(dtype, [v.count * v.count])
    return (Literal(type, integers: v.flatMap { a in v.map { _ in a } }), Literal(type, integers: v.flatMap { _ in v }))
  }

  func check(_ inputs: [Literal], _ output: TensorType, exactly: Bool = true, _ name: String, _ element: (Position) -> Scalar) throws {
    for width in [1, 16] {
      let kernel = elementwise(inputs.map(\.type), output, width: width, unroll: 2, element)
      let wanted = try KernelInterpreter.run(kernel, inputs: inputs, resultTypes: [output])[0]
      let got = try Machine.shared.run(kernel, inputs, [output])[0]
      // The interpreter computes in double precision; here an f32 is the nearest one.
      for (number, (a, b)) in zip(got.doubles, wanted.doubles).enumerated() {
        let rounded = output.dtype == .f32 ? Double(Float(b)) : b
        let isSame = a == rounded || (a.isNaN && b.isNaN)
        #expect(isSame, "\(name) width \(width): \(inputs.map { $0.doubles[number] }) gives \(a), not \(b)")
      }
    }
  }

  @Test("functions of one", arguments: [UnaryFunction.negate, .absolute, .squareRoot, .floor, .not], [DType.f32, .i32, .i64, .bool])
  func unary(function: UnaryFunction, dtype: DType) throws {
    switch (function, dtype) {
    case (.not, .f32), (.negate, .bool), (.absolute, .bool), (.floor, .bool): return
    case (.squareRoot, .i32), (.squareRoot, .i64), (.squareRoot, .bool): return
    default: break
    }
    let (a, _) = Self.pairs(dtype)
    try check([a], a.type, "\(function)") { .unary(function, load(0, dtype, $0)) }
  }

  @Test("functions of two", arguments: BinaryFunction.allCases, [DType.f32, .i32, .i64, .bool])
  func binary(function: BinaryFunction, dtype: DType) throws {
    switch (function, dtype) {
    case (.power, _), (.and, .f32), (.or, .f32), (.xor, .f32), (.shiftLeft, .f32), (.shiftRight, .f32): return
    case (.add, .bool), (.subtract, .bool), (.multiply, .bool), (.divide, .bool), (.remainder, .bool): return
    case (.shiftLeft, .bool), (.shiftRight, .bool), (.maximum, .bool), (.minimum, .bool): return
    // Single and double precision part where the quotient is rounded: see `remainderOfFloats`.
    case (.remainder, .f32): return
    default: break
    }
    let (a, b) = Self.pairs(dtype)
    try check([a, b], a.type, "\(function)") { .binary(function, load(0, dtype, $0), load(1, dtype, $0)) }
  }

  @Test("remainders of floats are those of exact quotients")
  func remainderOfFloats() throws {
    let type = TensorType.f32(6)
    let (a, b) = (Literal(type, floats: [7.5, -7.5, 7.5, -7.5, 6, 0]), Literal(type, floats: [2, 2, -2, -2, 3, 5]))
    try check([a, b], type, "remainder") { .binary(.remainder, load(0, .f32, $0), load(1, .f32, $0)) }
  }

  @Test("comparisons", arguments: Comparison.allCases, [DType.f32, .i32, .i64, .bool])
  func comparison(comparison: Comparison, dtype: DType) throws {
    let (a, b) = Self.pairs(dtype)
    try check([a, b], a.type.with(.bool), "\(comparison)") { .compare(comparison, load(0, dtype, $0), load(1, dtype, $0)) }
  }

  @Test("conversions", arguments: DType.allCases, DType.allCases)
  func conversion(from: DType, to: DType) throws {
    let (a, _) = Self.pairs(from)
    try check([a], a.type.with(to), "\(from) to \(to)") { .convert(load(0, from, $0), ScalarType(to)) }
  }

  @Test("rounding", arguments: [DType.bf16, .f16])
  func rounding(dtype: DType) throws {
    var generator = Seeded(7)
    let random = (0..<1000).map { _ in Double(Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator))) }
    let near = (0..<1000).map { _ in Double(Float.random(in: -70000...70000, using: &generator)) }
    let small = (0..<1000).map { _ in Double(Float.random(in: -1e-4...1e-4, using: &generator)) }
    let values = Self.floats + random + near + small
    let a = Literal(TensorType(.f32, [values.count]), floats: values.map { Double(Float($0)) })
    try check([a], a.type, "round to \(dtype)") { .round(load(0, .f32, $0), dtype) }
  }

  @Test("bits, selection and fused multiplication")
  func others() throws {
    let (a, b) = Self.pairs(.f32)
    try check([a], a.type.with(.i32), "bits") { .bitcast(load(0, .f32, $0), .i32) }
    let (i, _) = Self.pairs(.i32)
    try check([i], i.type.with(.f32), "from bits") { .bitcast(load(0, .i32, $0), .f32) }
    try check([a, b], a.type, "select") {
      .select(.compare(.less, load(0, .f32, $0), load(1, .f32, $0)), load(1, .f32, $0), .float(2))
    }
    let fused = elementwise([a.type, b.type], a.type) { .fusedMultiplyAdd(load(0, .f32, $0), load(1, .f32, $0), load(0, .f32, $0)) }
    // Double precision would round twice.
    let wanted = zip(a.doubles, b.doubles).map { Double(Float($0).addingProduct(Float($0), Float($1))) }
    #expect(try Machine.shared.run(fused, [a, b], [a.type])[0].isSame(as: Literal(a.type, floats: wanted)))
    try check([a], a.type.with(.i64), "position") { .position(($0 / 7) * 3 + $0 % 5) }
  }
}
#endif
