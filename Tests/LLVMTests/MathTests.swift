#if LLVM
import Foundation
import IR
import LLVMBackend
import Passes
import Runtime
import TestSupport
import Testing

/// The errors of the expanded functions, in units in the last place of the result, over the whole range.
@Suite("expanded math") struct MathTests {
  static let chunk = 1 << 16
  static let samples = 1 << 20

  /// Every `2³² / samples`-th float, those near 0 and near 1, and the special ones.
  static let inputs: [Float] = {
    let step = UInt64(1 << 32) / UInt64(samples)
    var bits = (0..<UInt64(samples)).map { UInt32(truncatingIfNeeded: $0 * step + $0 % step) }
    for center in [0x3f80_0000, 0xbf80_0000, 0x3f20_0000, 0x3f6d_8000, 0x3f00_0000] as [UInt32] {
      bits += (0..<2000).map { center &- 1000 &+ $0 }
    }
    bits += [0, 0x8000_0000, 1, 0x8000_0001, 0x7f_ffff, 0x80_0000, 0x7f7f_ffff, 0xff7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000]
    var generator = Seeded(1)
    let usual = (0..<samples / 4).map { _ in Float.random(in: -100...100, using: &generator) }
    let floats = bits.map { Float(bitPattern: $0) } + usual
    return floats + [Float](repeating: 0, count: (chunk - floats.count % chunk) % chunk)
  }()

  /// How far `got` is from the exact result; infinite for a wrong NaN, infinity or sign of zero.
  static func error(_ got: Float, _ exact: Double) -> Double {
    if exact.isNaN || got.isNaN { return exact.isNaN && got.isNaN ? 0 : .infinity }
    let nearest = Float(exact)
    if got == nearest && got.isInfinite { return 0 }
    guard got.isFinite && nearest.isFinite else {
      // The last finite number is as good, if the exact result is only just too large.
      let finite = Double(Float.greatestFiniteMagnitude)
      return abs(abs(exact) - finite) / Double(Float.greatestFiniteMagnitude.ulp) + 0.5
    }
    return abs(Double(got) - exact) / Double(nearest.ulp)
  }

  func evaluate(_ kernel: Kernel, _ inputs: [[Float]]) throws -> [Float] {
    let compiled = try Machine.shared.compiler.compile([expandMath(kernel)])[0]
    var result: [Float] = []
    let output = UnsafeMutablePointer<Float>.allocate(capacity: Self.chunk)
    let copies = inputs.map { _ in UnsafeMutablePointer<Float>.allocate(capacity: Self.chunk) }
    defer { ([output] + copies).forEach { $0.deallocate() } }
    for start in stride(from: 0, to: inputs[0].count, by: Self.chunk) {
      for (copy, input) in zip(copies, inputs) {
        input.withUnsafeBufferPointer { copy.update(from: $0.baseAddress! + start, count: Self.chunk) }
      }
      try compiled.run((copies + [output]).map { UnsafeMutableRawPointer($0) }, on: Machine.one)
      result += UnsafeBufferPointer(start: output, count: Self.chunk)
    }
    return result
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let function: UnaryFunction
    let bound: Double
    let exact: @Sendable (Double) -> Double
    var limit = Float.infinity
    var testDescription: String { function.rawValue }
  }

  static let cases: [Case] = [
    Case(function: .exponential, bound: 1.5) { exp($0) },
    Case(function: .logarithm, bound: 1.5) { log($0) },
    Case(function: .tanh, bound: 3) { tanh($0) },
    Case(function: .sigmoid, bound: 3) { $0 < 0 ? exp($0) / (1 + exp($0)) : 1 / (1 + exp(-$0)) },
    Case(function: .erf, bound: 3) { erf($0) },
    Case(function: .reciprocalSquareRoot, bound: 1.5) { 1 / $0.squareRoot() },
    Case(function: .sine, bound: 2, exact: { sin($0) }, limit: 1e5),
    Case(function: .cosine, bound: 2, exact: { cos($0) }, limit: 1e5),
  ]

  @Test("errors in units in the last place", arguments: cases)
  func errors(_ test: Case) throws {
    let kernel = elementwise([.f32(Self.chunk)], .f32(Self.chunk)) { .unary(test.function, load(0, .f32, $0)) }
    let got = try evaluate(kernel, [Self.inputs])
    var (worst, at) = (0.0, Float(0))
    for (x, y) in zip(Self.inputs, got) where abs(x) <= test.limit || x.isNaN {
      let error = Self.error(y, test.exact(Double(x)))
      if error > worst { (worst, at) = (error, x) }
    }
    print("\(test.function.rawValue): \(worst) ulp at \(at)")
    #expect(worst <= test.bound, "\(test.function.rawValue) of \(at)")
  }

  @Test("sine and cosine of large numbers lose bits slowly and stay bounded")
  func largeAngles() throws {
    for (function, exact) in [(UnaryFunction.sine, { sin($0) }), (.cosine, { cos($0) })] as [(UnaryFunction, (Double) -> Double)] {
      let kernel = elementwise([.f32(Self.chunk)], .f32(Self.chunk)) { .unary(function, load(0, .f32, $0)) }
      let got = try evaluate(kernel, [Self.inputs])
      var worst = 0.0
      for (x, y) in zip(Self.inputs, got) where x.isFinite {
        if abs(x) < 0x1p60 { worst = max(worst, abs(Double(y) - exact(Double(x)))) }
        #expect(abs(y) <= 1.001)
      }
      print("\(function) below 2^60: \(worst)")
      #expect(worst < 4e-6)
      #expect(zip(Self.inputs, got).allSatisfy { $0.isInfinite ? $1.isNaN : true })
    }
  }

  @Test("power")
  func power() throws {
    var generator = Seeded(2)
    let special: [Float] = [0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, -1.5, 1e-42, 3e38, -3e38, .infinity, -.infinity, .nan, 16_777_216, 16_777_217, 33_554_432, 1e10]
    var (xs, ys) = ([Float](), [Float]())
    for x in special { for y in special { (xs, ys) = (xs + [x], ys + [y]) } }
    while xs.count < 1 << 18 {
      let x = Float(bitPattern: UInt32.random(in: 0...0x7f7f_ffff, using: &generator))
      xs.append(x)
      // Exponents for which the result is finite, mostly.
      ys.append(Float.random(in: -1...1, using: &generator) * 90 / max(0.01, abs(log(x))))
    }
    for y in [2, 3, -1, 0.5, 1.0 / 3] as [Float] {
      xs += (0..<1000).map { _ in Float.random(in: -50...50, using: &generator) }
      ys += [Float](repeating: y, count: 1000)
    }
    let padding = (Self.chunk - xs.count % Self.chunk) % Self.chunk
    xs += [Float](repeating: 1, count: padding)
    ys += [Float](repeating: 1, count: padding)
    let type = TensorType.f32(Self.chunk)
    let kernel = elementwise([type, type], type) { .binary(.power, load(0, .f32, $0), load(1, .f32, $0)) }
    let got = try evaluate(kernel, [xs, ys])
    var (worst, at) = (0.0, (Float(0), Float(0)))
    for i in xs.indices {
      let exact = pow(Double(xs[i]), Double(ys[i]))
      let error = Self.error(got[i], exact)
      if exact == 0 || Float(exact) == 0 { #expect(got[i].sign == exact.sign || got[i] != 0, "\(xs[i]) \(ys[i])") }
      if error > worst { (worst, at) = (error, (xs[i], ys[i])) }
    }
    print("power: \(worst) ulp at \(at)")
    #expect(worst <= 1.5, "\(at)")
  }

  @Test("whole exponents that stand in the kernel", arguments: [-2, -1, 0, 1, 2, 3, 4, 5] as [Double])
  func constantPower(exponent: Double) throws {
    let kernel = elementwise([.f32(Self.chunk)], .f32(Self.chunk)) { .binary(.power, load(0, .f32, $0), .float(exponent)) }
    let inputs = Array(Self.inputs.suffix(Self.chunk))
    let got = try evaluate(kernel, [inputs])
    let worst = zip(inputs, got).map { Self.error($1, pow(Double($0), exponent)) }.max() ?? 0
    #expect(worst <= 2)
  }

  @Test("what is used twice is named once, before the statement")
  func names() throws {
    let x = load(0, .f32, Position(0))
    let nested = Scalar.unary(.exponential, .unary(.tanh, .unary(.exponential, .unary(.erf, x))))
    let kernel = elementwise([.f32(16)], .f32(16)) { _ in nested }
    let expanded = expandMath(kernel)
    guard case .loop(let stage) = expanded.body[0], case .loop(let loop) = stage.body[0] else { return #expect(Bool(false)) }
    #expect(loop.body.count < 80)
    #expect(loop.body.dropLast().allSatisfy { if case .define = $0 { true } else { false } })
    #expect(expandMath(expanded) == expanded)
  }
}
#endif
