/// The types a kernel computes with. bf16, f16, u8 live in memory only: loads widen them, stores round them.
public enum ScalarType: String, Hashable, Sendable, CaseIterable {
  case f32, i32, i64, bool

  /// The type in which elements of `dtype` are computed.
  public init(_ dtype: DType) {
    switch dtype {
    case .f32, .bf16, .f16: self = .f32
    case .i32, .u8: self = .i32
    case .i64: self = .i64
    case .bool: self = .bool
    }
  }
}

/// A value named by a kernel: defined once, or an accumulator.
public struct Variable: Hashable, Sendable {
  public let id: Int
  public let type: ScalarType
  public init(_ id: Int, _ type: ScalarType) {
    self.id = id
    self.type = type
  }

  /// What it takes in memory; a truth value as much as an i32.
  public var bytes: Int { type == .i64 ? 8 : 4 }
}

/// A buffer of a kernel, by its number there.
public struct BufferID: Hashable, Sendable {
  public let index: Int
  public init(_ index: Int) { self.index = index }
}

/// An expression of a kernel. A closed set: every consumer switches over it without a default.
public indirect enum Scalar: Hashable, Sendable {
  case float(Double)
  case integer(Int64, ScalarType)
  case boolean(Bool)
  /// A position as an i64.
  case position(Position)
  case variable(Variable)
  /// An element of a buffer, widened to its compute type; zero where the guard is false, and then memory is not touched.
  case load(BufferID, ScalarType, Position, guard: Scalar?)
  case unary(UnaryFunction, Scalar)
  case binary(BinaryFunction, Scalar, Scalar)
  case compare(Comparison, Scalar, Scalar)
  case select(Scalar, Scalar, Scalar)
  /// `a * b + c`, rounded once.
  case fusedMultiplyAdd(Scalar, Scalar, Scalar)
  /// Numeric conversion; float to integer truncates towards zero and saturates, NaN gives 0; to bool is "not zero".
  case convert(Scalar, ScalarType)
  /// The same 32 bits as another type (f32 and i32).
  case bitcast(Scalar, ScalarType)
  /// An f32 rounded to what bf16 or f16 can hold.
  case round(Scalar, DType)
}

public enum UnaryFunction: String, Hashable, Sendable, CaseIterable, Codable {
  case negate, absolute, squareRoot = "sqrt", floor
  /// Bitwise for integers, logical for bool.
  case not
  case exponential = "exp", logarithm = "log", sine = "sin", cosine = "cos", tanh, sigmoid, erf
  case reciprocalSquareRoot = "rsqrt"
}

public enum BinaryFunction: String, Hashable, Sendable, CaseIterable, Codable {
  case add, subtract, multiply
  /// Integers: quotient towards minus infinity; 0 where the divisor is 0.
  case divide
  /// Integers: never negative for a positive divisor; 0 where the divisor is 0. Floats: x − y·floor(x / y).
  case remainder
  /// NaN if either is NaN.
  case maximum, minimum
  case power
  case and, or, xor
  /// By 0 ..< width; anything else gives 0. `shiftRight` shifts zeros in.
  case shiftLeft = "shift_left", shiftRight = "shift_right"
}

public enum Comparison: String, Hashable, Sendable, CaseIterable, Codable {
  case equal, notEqual = "not_equal", less, lessOrEqual = "less_or_equal", greater, greaterOrEqual = "greater_or_equal"
}

/// How many become one. `maximum` and `minimum` give NaN if any element is.
public enum Reduction: String, Hashable, Sendable, CaseIterable, Codable {
  case sum, maximum = "max", minimum = "min", any, all

  /// What an empty reduction gives.
  public func identity(_ type: ScalarType) -> Scalar {
    switch (self, type) {
    case (.sum, .f32): .float(0)
    case (.maximum, .f32): .float(-.infinity)
    case (.minimum, .f32): .float(.infinity)
    case (.sum, .i32), (.sum, .i64): .integer(0, type)
    case (.maximum, .i32): .integer(Int64(Int32.min), type)
    case (.maximum, .i64): .integer(.min, type)
    case (.minimum, .i32): .integer(Int64(Int32.max), type)
    case (.minimum, .i64): .integer(.max, type)
    case (.any, _), (.maximum, .bool), (.sum, .bool): .boolean(false)
    case (.all, _), (.minimum, .bool): .boolean(true)
    }
  }

  /// The function that combines two.
  public func combine(_ a: Scalar, _ b: Scalar) -> Scalar {
    switch self {
    case .sum: .binary(.add, a, b)
    case .maximum: .binary(.maximum, a, b)
    case .minimum: .binary(.minimum, a, b)
    case .any: .binary(.or, a, b)
    case .all: .binary(.and, a, b)
    }
  }
}

extension Scalar {
  /// The type of the value.
  public var type: ScalarType {
    switch self {
    case .float, .fusedMultiplyAdd, .round: .f32
    case .integer(_, let type), .convert(_, let type), .bitcast(_, let type): type
    case .boolean, .compare: .bool
    case .position: .i64
    case .variable(let variable): variable.type
    case .load(_, let type, _, _): type
    case .unary(_, let a): a.type
    case .binary(_, let a, _): a.type
    case .select(_, let a, _): a.type
    }
  }

  public static func + (l: Self, r: Self) -> Self {
    if l == .float(0) { return r }
    if r == .float(0) { return l }
    return .binary(.add, l, r)
  }
  public static func - (l: Self, r: Self) -> Self { r == .float(0) ? l : .binary(.subtract, l, r) }
  public static func * (l: Self, r: Self) -> Self {
    if l == .float(1) { return r }
    if r == .float(1) { return l }
    return .binary(.multiply, l, r)
  }
  public static func / (l: Self, r: Self) -> Self { r == .float(1) ? l : .binary(.divide, l, r) }

  /// Calls `body` for each direct part.
  public func forEachPart(_ body: (Scalar) -> Void) {
    switch self {
    case .float, .integer, .boolean, .position, .variable: break
    case .load(_, _, _, let condition): if let condition { body(condition) }
    case .unary(_, let a), .convert(let a, _), .bitcast(let a, _), .round(let a, _): body(a)
    case .binary(_, let a, let b), .compare(_, let a, let b):
      body(a)
      body(b)
    case .select(let a, let b, let c), .fusedMultiplyAdd(let a, let b, let c):
      body(a)
      body(b)
      body(c)
    }
  }

  /// The expression with each direct part replaced.
  public func mapParts(_ body: (Scalar) -> Scalar) -> Scalar {
    switch self {
    case .float, .integer, .boolean, .position, .variable: self
    case .load(let buffer, let type, let at, let condition): .load(buffer, type, at, guard: condition.map(body))
    case .unary(let function, let a): .unary(function, body(a))
    case .convert(let a, let type): .convert(body(a), type)
    case .bitcast(let a, let type): .bitcast(body(a), type)
    case .round(let a, let dtype): .round(body(a), dtype)
    case .binary(let function, let a, let b): .binary(function, body(a), body(b))
    case .compare(let comparison, let a, let b): .compare(comparison, body(a), body(b))
    case .select(let a, let b, let c): .select(body(a), body(b), body(c))
    case .fusedMultiplyAdd(let a, let b, let c): .fusedMultiplyAdd(body(a), body(b), body(c))
    }
  }

  /// Every variable the expression reads, positions included.
  public func forEachVariable(_ body: (Variable) -> Void) {
    switch self {
    case .variable(let variable): body(variable)
    case .position(let position): position.forEachVariable(body)
    case .load(_, _, let position, _):
      position.forEachVariable(body)
      forEachPart { $0.forEachVariable(body) }
    default: forEachPart { $0.forEachVariable(body) }
    }
  }
}
