import IR

extension MathExpansion {
  /// `|x|ʸ = exp(y·log|x|)` with the logarithm and its product in two floats each, and the sign and special values of
  /// IEEE 754's `pow`. Small whole exponents that stand in the kernel are products.
  mutating func power(_ x: Scalar, _ y: Scalar) -> Scalar {
    if case .float(let exponent) = y, let product = repeated(x, exponent) { return product }
    let (x, y) = (named(x), named(y))
    let magnitude = named(.abs(x))
    let (upper, lower) = preciseLogarithm(magnitude)

    let product = named(y * upper)
    let error = named(.fma(y, upper, .negative(product)))
    let rest = named(.fma(y, lower, error))
    let bounded = named(.atMost(89, .atLeast(-104, product)))
    // Beyond the bounds the rest no longer matters, and may be no number.
    let isInside = Scalar.isEqual(bounded, product)
    let finite = named(exponential(of: bounded, plus: named(.select(isInside, rest, .float(0)))))

    let vanishes = named(.isLess(y, .float(0)))
    let ofZero = Scalar.select(vanishes, .float(.infinity), .float(0))
    let ofInfinity = Scalar.select(vanishes, .float(0), .float(.infinity))
    let known = named(.select(.isEqual(magnitude, .float(0)), ofZero, finite))
    let unsigned = named(.select(.isEqual(magnitude, .float(.infinity)), ofInfinity, known))
    let size = named(.select(.isEqual(magnitude, .float(1)), .float(1), unsigned))

    let half = named(y * .float(0.5))
    let isWhole = named(.isEqual(.unary(.floor, y), y))
    let isOdd = Scalar.and(isWhole, .compare(.notEqual, .unary(.floor, half), half))
    let isNegative = named(.isLess(.bits(x), .i32(0)))
    let signed = named(.select(.and(isNegative, isOdd), .negative(size), size))
    let isFiniteNegative = Scalar.and(.isLess(x, .float(0)), .isLess(.float(-.infinity), x))
    let isUndefined = Scalar.and(isFiniteNegative, .unary(.not, isWhole))
    let isNaN = Scalar.or(isUndefined, .or(.isNaN(x), .isNaN(y)))
    let result = named(.select(isNaN, .float(.nan), signed))
    let exact = named(.select(.isEqual(y, .float(1)), x, result))
    return .select(.or(.isEqual(y, .float(0)), .isEqual(x, .float(1))), .float(1), exact)
  }

  /// `xʸ` for y = -2, -1, …, 4.
  private mutating func repeated(_ x: Scalar, _ exponent: Double) -> Scalar? {
    if exponent == 0 { return .float(1) }
    guard let count = Int(exactly: exponent), (-2...4).contains(count) else { return nil }
    if count == 1 { return x }
    let x = named(x)
    switch count {
    case -2: return .float(1) / (x * x)
    case -1: return .float(1) / x
    case 3: return named(x * x) * x
    case 4:
      let square = named(x * x)
      return square * square
    default: return x * x
    }
  }

  /// The logarithm of a positive finite number as the sum of two floats: `2·atanh((m − 1)/(m + 1)) + e·log 2`.
  private mutating func preciseLogarithm(_ x: Scalar) -> (upper: Scalar, lower: Scalar) {
    let (m, e) = mantissa(of: x)
    // (m − 1) / (m + 1) in two floats.
    let sum = named(.binary(.add, m, .float(1)))
    let difference = named(m - .float(1))
    let reciprocal = named(.float(1) / sum)
    let q = named(reciprocal * difference)
    let firstRest = named(.fma(q, .float(-2), difference))
    let rest = named(.fma(q, .negative(difference), firstRest))
    let qLower = named(reciprocal * rest)

    // atanh(q) = q + q³·(1/3 + …), the cube in two floats as well.
    let square = named(q * q)
    let series = named(.polynomial([0.3333333134651184, 0.20000486075878143, 0.1424941122531891, 0.12138721346855164], square))
    let squareError = named(.fma(q, q, .negative(square)))
    let doubledLower = named(.binary(.add, qLower, qLower))
    let squareLower = named(.fma(q, doubledLower, squareError))
    let cube = named(square * q)
    let cubeError = named(.fma(square, q, .negative(cube)))
    let cubeMiddle = named(.fma(squareLower, q, cubeError))
    let cubeLower = named(.fma(square, qLower, cubeMiddle))
    let inner = named(.fma(series, cubeLower, qLower))
    let small = named(.fma(series, cube, inner))

    // e·log 2 is added to half of the logarithm, then all is doubled.
    let total = named(.fma(e, .float(0.3465735912322998), q))
    let back = named(.fma(e, .float(-0.3465735912322998), total))
    let lost = named(.binary(.add, .binary(.subtract, q, back), small))
    let lower = named(.fma(e, .float(-9.523271060629668e-10), lost))
    let doubled = named(.binary(.add, total, total))
    let upper = named(.fma(lower, .float(2), doubled))
    return (upper, named(.fma(lower, .float(2), .binary(.subtract, doubled, upper))))
  }
}
