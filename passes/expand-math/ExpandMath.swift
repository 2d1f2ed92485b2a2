import IR

/// Writes exp, log, sin, cos, tanh, sigmoid, erf, rsqrt and power as basic arithmetic.
///
///     %2 = exp(%1)
/// ->
///     a polynomial in what is left of %1 after a multiple of log 2, times a power of two made of its bits
///
/// Every target then computes them the same way, in vectors, with the errors that stand in this folder's README. What an
/// expansion uses twice is named once, before the statement that needs it.
public func expandMath(_ kernel: Kernel) -> Kernel {
  var expansion = MathExpansion(firstName: kernel.firstFreeName)
  var expanded = kernel
  expanded.body = expansion.expand(kernel.body)
  return expanded
}

/// The statements that an expansion needs, and names for their values.
struct MathExpansion {
  private var nextName: Int
  private var pending: [Statement] = []

  init(firstName: Int) { nextName = firstName }

  mutating func expand(_ body: [Statement]) -> [Statement] {
    var result: [Statement] = []
    for statement in body {
      let expanded = expand(statement)
      result += pending
      pending = []
      result.append(expanded)
    }
    return result
  }

  private mutating func expand(_ statement: Statement) -> Statement {
    switch statement {
    case .define(let variable, let scalar): return .define(variable, expand(scalar))
    case .accumulator, .product: return statement
    case .accumulate(let variable, let reduction, let scalar): return .accumulate(variable, reduction, expand(scalar))
    case .store(let buffer, let position, let scalar): return .store(buffer, position, expand(scalar))
    case .loop(var loop):
      loop.body = expand(loop.body)
      return .loop(loop)
    case .conditional(let condition, let body):
      let condition = expand(condition)
      // What the condition needs stands before it, not inside.
      let outer = pending
      pending = []
      let inner = expand(body)
      pending = outer
      return .conditional(condition, inner)
    }
  }

  private mutating func expand(_ scalar: Scalar) -> Scalar {
    let scalar = scalar.mapParts { expand($0) }
    switch scalar {
    case .unary(let function, let x) where x.type == .f32: return expand(function, x) ?? scalar
    case .binary(.power, let x, let y) where x.type == .f32: return power(x, y)
    case .float, .integer, .boolean, .position, .variable, .load, .unary, .binary, .compare, .select, .fusedMultiplyAdd,
      .convert, .bitcast, .round:
      return scalar
    }
  }

  private mutating func expand(_ function: UnaryFunction, _ x: Scalar) -> Scalar? {
    switch function {
    case .negate, .absolute, .squareRoot, .floor, .not: nil
    case .exponential: exponential(named(x))
    case .logarithm: logarithm(named(x))
    case .sine: wave(named(x), quarter: 0)
    case .cosine: wave(named(x), quarter: 1)
    case .tanh: hyperbolicTangent(named(x))
    case .sigmoid: sigmoid(named(x))
    case .erf: errorFunction(named(x))
    case .reciprocalSquareRoot: .binary(.divide, .float(1), .unary(.squareRoot, x))
    }
  }

  /// A name for a value that is used more than once.
  mutating func named(_ scalar: Scalar) -> Scalar {
    switch scalar {
    case .float, .integer, .boolean, .variable: return scalar
    default: break
    }
    let variable = Variable(nextName, scalar.type)
    nextName += 1
    pending.append(.define(variable, scalar))
    return .variable(variable)
  }
}

// Short forms in which the expansions are written. Sums of products are always fused, and never otherwise, so that a target
// that fuses and one that does not agree.
extension Scalar {
  static func fma(_ a: Scalar, _ b: Scalar, _ c: Scalar) -> Scalar { .fusedMultiplyAdd(a, b, c) }
  static func bits(_ x: Scalar) -> Scalar { .bitcast(x, .i32) }
  static func ofBits(_ x: Scalar) -> Scalar { .bitcast(x, .f32) }
  static func i32(_ value: Int64) -> Scalar { .integer(value, .i32) }
  static func abs(_ x: Scalar) -> Scalar { .unary(.absolute, x) }
  static func negative(_ x: Scalar) -> Scalar { .unary(.negate, x) }
  static func isLess(_ a: Scalar, _ b: Scalar) -> Scalar { .compare(.less, a, b) }
  static func isEqual(_ a: Scalar, _ b: Scalar) -> Scalar { .compare(.equal, a, b) }
  static func isNaN(_ a: Scalar) -> Scalar { .compare(.notEqual, a, a) }
  static func and(_ a: Scalar, _ b: Scalar) -> Scalar { .binary(.and, a, b) }
  static func or(_ a: Scalar, _ b: Scalar) -> Scalar { .binary(.or, a, b) }
  /// `x`, or `bound` where it is less; NaN stays.
  static func atLeast(_ bound: Double, _ x: Scalar) -> Scalar { .select(.isLess(x, .float(bound)), .float(bound), x) }
  /// `x`, or `bound` where it is greater; NaN stays.
  static func atMost(_ bound: Double, _ x: Scalar) -> Scalar { .select(.isLess(.float(bound), x), .float(bound), x) }
  /// The magnitude of a with the sign of b.
  static func withSign(_ a: Scalar, of b: Scalar) -> Scalar {
    .ofBits(.or(.and(.bits(a), .i32(0x7fff_ffff)), .and(.bits(b), .i32(-0x8000_0000))))
  }

  /// `c₀ + x·(c₁ + x·(c₂ + …))`
  static func polynomial(_ coefficients: [Double], _ x: Scalar) -> Scalar {
    guard let last = coefficients.last else { return .float(0) }
    return coefficients.dropLast().reversed().reduce(.float(last)) { .fma($0, x, .float($1)) }
  }
}

extension Kernel {
  /// A number above all variables of the kernel.
  fileprivate var firstFreeName: Int {
    var highest = -1
    func visit(_ scalar: Scalar) { scalar.forEachVariable { highest = max(highest, $0.id) } }
    func visit(_ body: [Statement]) {
      for statement in body {
        switch statement {
        case .define(let variable, let scalar), .accumulate(let variable, _, let scalar):
          highest = max(highest, variable.id)
          visit(scalar)
        case .accumulator(let variable, _): highest = max(highest, variable.id)
        case .store(_, _, let scalar): visit(scalar)
        case .loop(let loop): visit(loop.body)
        case .conditional(let condition, let body):
          visit(condition)
          visit(body)
        case .product: break
        }
      }
    }
    visit(body)
    return highest + 1
  }
}
