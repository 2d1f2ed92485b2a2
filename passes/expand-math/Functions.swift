import IR

// Coefficients are minimax fits of ours with each coefficient rounded to f32 in turn and the others fitted again.

/// 1.5 · 2²³: adding it rounds a number below 2²² to an integer and leaves that integer in the low bits.
private let roundingNumber = 12_582_912.0
private let log2Upper = 0.6931471824645996
private let log2Lower = -1.9046542121259336e-09

extension MathExpansion {
  /// `exp(x) = 2ⁿ · exp(r)` with `r = x − n·log 2` below ½·log 2; n is applied in two halves, so that results that are
  /// almost too large or too small are right.
  mutating func exponential(_ x: Scalar) -> Scalar {
    exponential(of: named(.atMost(89, .atLeast(-104, x))), plus: nil)
  }

  /// `exp(x)`, or `exp(x) · (1 + rest)` for a small rest, of -104 ≤ x ≤ 89.
  mutating func exponential(of x: Scalar, plus rest: Scalar?) -> Scalar {
    let shifted = named(.fma(x, .float(1.4426950216293335), .float(roundingNumber)))
    let n = named(shifted - .float(roundingNumber))
    let p = fractionOfExponential(x, n, rest)
    let halfShifted = named(.fma(n, .float(0.5), .float(roundingNumber)))
    let otherHalf = Scalar.binary(.subtract, .bits(shifted), .bits(halfShifted))
    let first = named(p * powerOfTwo(.bits(halfShifted)))
    return first * powerOfTwo(otherHalf)
  }

  /// `exp(x)` of -87 ≤ x ≤ 88, where half of n is not needed.
  private mutating func moderateExponential(_ x: Scalar) -> Scalar {
    let shifted = named(.fma(x, .float(1.4426950216293335), .float(roundingNumber)))
    let n = named(shifted - .float(roundingNumber))
    return fractionOfExponential(x, n, nil) * powerOfTwo(.bits(shifted))
  }

  /// `exp(x − n·log 2)`
  private mutating func fractionOfExponential(_ x: Scalar, _ n: Scalar, _ rest: Scalar?) -> Scalar {
    let upper = named(.fma(n, .float(-log2Upper), x))
    let r = named(.fma(n, .float(-log2Lower), upper))
    let q = Scalar.polynomial([0.4999999403953552, 0.1666652113199234, 0.04166828840970993, 0.008368703536689281, 0.0013818938750773668], r)
    let square = named(r * r)
    let p = named(.fma(q, square, r))
    guard let rest else { return named(.binary(.add, p, .float(1))) }
    // (1 + p)(1 + rest) = 1 + (p + rest·(1 + p))
    let one = named(.binary(.add, p, .float(1)))
    return named(.binary(.add, .fma(one, rest, p), .float(1)))
  }

  /// 2ⁿ for the n in the low bits of an integer, -126 ≤ n ≤ 127.
  private func powerOfTwo(_ n: Scalar) -> Scalar {
    .ofBits(.binary(.add, .binary(.shiftLeft, n, .i32(23)), .i32(0x3f80_0000)))
  }

  /// A positive finite number as `m · 2ᵉ` with `2/3 ≤ m < 4/3`.
  mutating func mantissa(of x: Scalar) -> (m: Scalar, e: Scalar) {
    let isSmall = named(.isLess(x, .float(0x1p-126)))
    let normal = named(.select(isSmall, x * .float(0x1p23), x))
    let bits = named(.bits(normal))
    let exponent = named(.and(.binary(.subtract, bits, .i32(0x3f2a_aaab)), .i32(-0x80_0000)))
    let m = named(.ofBits(.binary(.subtract, bits, exponent)))
    let start = Scalar.select(isSmall, .float(-23), .float(0))
    return (m, named(.fma(.convert(exponent, .f32), .float(0x1p-23), start)))
  }

  /// `log(m · 2ᵉ) = e·log 2 + log(1 + f)`
  mutating func logarithm(_ x: Scalar) -> Scalar {
    let (m, e) = mantissa(of: x)
    let f = named(m - .float(1))
    let coefficients = [
      -0.5, 0.3333321213722229, -0.24999798834323883, 0.2001064568758011, -0.16680489480495453, 0.14001643657684326,
      -0.12183552235364914, 0.14006662368774414, -0.12897488474845886,
    ]
    let square = named(f * f)
    let series = named(.fma(.polynomial(coefficients, f), square, f))
    let finite = Scalar.fma(e, .float(log2Upper), series)
    let positive = Scalar.select(.isEqual(x, .float(.infinity)), x, finite)
    let other = Scalar.select(.isEqual(x, .float(0)), .float(-.infinity), .float(.nan))
    return .select(.isLess(.float(0), x), positive, other)
  }

  /// Below 0.625 an odd polynomial, and `1 − 2 / (exp(2|x|) + 1)` above.
  mutating func hyperbolicTangent(_ x: Scalar) -> Scalar {
    let magnitude = named(.abs(x))
    let square = named(x * x)
    let coefficients = [-0.3333328068256378, 0.1333140879869461, -0.053737059235572815, 0.020630862563848495, -0.005696253385394812]
    let cube = named(square * x)
    let small = Scalar.fma(.polynomial(coefficients, square), cube, x)
    // From 9.02 on the result is 1.
    let doubled = named(.atMost(20, .binary(.add, magnitude, magnitude)))
    let power = named(moderateExponential(doubled))
    let quotient = Scalar.float(2) / .binary(.add, power, .float(1))
    let large = Scalar.withSign(.binary(.subtract, .float(1), quotient), of: x)
    return .select(.isLess(magnitude, .float(0.625)), small, large)
  }

  /// `z / (1 + z)` with `z = exp(−|x|)` for negative x, `1 / (1 + z)` for others: neither cancels nor overflows.
  mutating func sigmoid(_ x: Scalar) -> Scalar {
    let z = named(exponential(named(.negative(.abs(x)))))
    return .select(.isLess(x, .float(0)), z, .float(1)) / .binary(.add, z, .float(1))
  }

  /// Below 0.928 `x + x·P(x²)`, above `1 − exp(−|x|·(1 + Q(|x|)))`.
  mutating func errorFunction(_ x: Scalar) -> Scalar {
    let magnitude = named(.abs(x))
    let square = named(x * x)
    let near = [
      0.12837916612625122, -0.3761262893676758, 0.11283625662326813, -0.026855729520320892, 0.005192393437027931,
      -0.0008049545576795936, 7.995294436113909e-05,
    ]
    let small = Scalar.fma(.polynomial(near, square), x, x)
    let far = [
      0.12864719331264496, 0.6351565718650818, 0.10622821003198624, -0.023754620924592018, 0.0036389522720128298,
      -0.00032194412779062986, 1.1145614735141862e-05,
    ]
    // From 3.92 on the result is 1.
    let t = named(.atMost(4, magnitude))
    let exponent = named(.fma(.polynomial(far, t), t, t))
    let rest = named(moderateExponential(named(.negative(exponent))))
    let large = Scalar.withSign(.binary(.subtract, .float(1), rest), of: x)
    return .select(.isLess(magnitude, .float(0.927734375)), small, large)
  }

  /// The sine `quarter` quarter turns ahead of x.
  ///
  /// Up to 10⁵ multiples of ½π are taken off in three parts; beyond, x is counted in quarter turns with 96 bits of
  /// 2/π, which loses the result's bits slowly as x grows.
  mutating func wave(_ x: Scalar, quarter: Int64) -> Scalar {
    let shifted = named(.fma(x, .float(0.6366197466850281), .float(roundingNumber)))
    let n = named(shifted - .float(roundingNumber))
    let first = named(.fma(n, .float(-1.5707963705062866), x))
    let second = named(.fma(n, .float(4.371138828673793e-08), first))
    let near = named(.fma(n, .float(1.7151245100058819e-15), second))

    var turns: Scalar?
    for part in [0.6366197466850281, 2.5682552973194106e-08, 2.937095479631555e-16, 6.074026627379602e-24] {
      let product = named(x * .float(part))
      let error = named(.fma(x, .float(part), .negative(product)))
      for piece in [product, error] {
        let whole = Scalar.unary(.floor, piece * .float(0.25))
        let left = named(.fma(whole, .float(-4), piece))
        turns = named(turns.map { .binary(.add, $0, left) } ?? left)
      }
    }
    let all = turns ?? .float(0)
    let farShifted = named(.binary(.add, all, .float(roundingNumber)))
    let farTurns = named(.binary(.subtract, all, farShifted - .float(roundingNumber)))
    let far = farTurns * .float(1.5707963705062866)

    let isNear = named(.isLess(.abs(x), .float(100_000)))
    let r = named(.select(isNear, near, far))
    let quadrant = named(.binary(.add, .select(isNear, .bits(shifted), .bits(farShifted)), .i32(quarter)))

    let square = named(r * r)
    let sineSeries = Scalar.polynomial([-0.1666666716337204, 0.008333379402756691, -0.00019853068806696683, 2.832629434124101e-06], square)
    let cube = named(square * r)
    let sine = named(.fma(sineSeries, cube, r))
    let cosineSeries = Scalar.polynomial([0.04166664555668831, -0.0013887309469282627, 2.4432336431345902e-05], square)
    let half = named(.fma(square, .float(-0.5), .float(1)))
    let fourth = named(square * square)
    let cosine = named(.fma(cosineSeries, fourth, half))
    let isOdd = Scalar.isEqual(.and(quadrant, .i32(1)), .i32(1))
    let value = Scalar.select(isOdd, cosine, sine)
    let sign = Scalar.binary(.shiftLeft, .and(quadrant, .i32(2)), .i32(30))
    return .ofBits(.binary(.xor, .bits(value), sign))
  }
}
