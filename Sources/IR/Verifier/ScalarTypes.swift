// Which types the functions of a kernel take; both operands and the result have the same one.

extension UnaryFunction {
  public func takes(_ type: ScalarType) -> Bool {
    switch self {
    case .negate, .absolute, .floor: type != .bool
    case .not: type != .f32
    case .squareRoot, .exponential, .logarithm, .sine, .cosine, .tanh, .sigmoid, .erf, .reciprocalSquareRoot:
      type == .f32
    }
  }
}

extension BinaryFunction {
  /// Truth values are added and multiplied as 0 and 1 and then "not zero", so `add` is `or` and `multiply` is `and`.
  public func takes(_ type: ScalarType) -> Bool {
    switch self {
    case .add, .multiply, .maximum, .minimum: true
    case .subtract, .divide, .remainder: type != .bool
    case .power: type == .f32
    case .and, .or, .xor: type != .f32
    case .shiftLeft, .shiftRight: type == .i32 || type == .i64
    }
  }
}

extension Reduction {
  public func takes(_ type: ScalarType) -> Bool {
    switch self {
    case .sum, .maximum, .minimum: true
    case .any, .all: type == .bool
    }
  }
}

extension Scalar {
  /// Checks the types of the expression's own operation; its parts are checked by themselves.
  func verifyTypes(_ buffers: [Kernel.Buffer]) throws(Violation) {
    switch self {
    case .float, .boolean, .position, .variable: break
    case .integer(let value, let type):
      try require(type == .i32 || type == .i64, "an integer constant is i32 or i64, not \(type.rawValue)")
      try require(type == .i64 || Int32(exactly: value) != nil, "\(value) does not fit i32")
    case .load(let buffer, let type, _, let condition):
      try require(buffers.indices.contains(buffer.index), "reads buffer \(buffer.index) of \(buffers.count)")
      let read = ScalarType(buffers[buffer.index].dtype)
      try require(
        read == type, "reads \(type.rawValue) from '\(buffers[buffer.index].name)', which gives \(read.rawValue)")
      if let condition { try require(condition.type == .bool, "a guard is bool, not \(condition.type.rawValue)") }
    case .unary(let function, let a):
      try require(function.takes(a.type), "'\(function.rawValue)' takes no \(a.type.rawValue)")
    case .binary(let function, let a, let b):
      try require(
        a.type == b.type, "'\(function.rawValue)' wants equal types, got \(a.type.rawValue) and \(b.type.rawValue)")
      try require(function.takes(a.type), "'\(function.rawValue)' takes no \(a.type.rawValue)")
    case .compare(let comparison, let a, let b):
      let sign = comparison.sign.rawValue
      try require(a.type == b.type, "'\(sign)' wants equal types, got \(a.type.rawValue) and \(b.type.rawValue)")
    case .select(let condition, let a, let b):
      try require(condition.type == .bool, "'select' wants a bool first, got \(condition.type.rawValue)")
      try require(a.type == b.type, "'select' wants equal types, got \(a.type.rawValue) and \(b.type.rawValue)")
    case .fusedMultiplyAdd(let a, let b, let c):
      let areFloats = a.type == .f32 && b.type == .f32 && c.type == .f32
      try require(areFloats, "'fma' wants f32, got \(a.type.rawValue), \(b.type.rawValue) and \(c.type.rawValue)")
    case .convert: break
    case .bitcast(let a, let type):
      let isKnown = (a.type, type) == (.f32, .i32) || (a.type, type) == (.i32, .f32)
      try require(isKnown, "'bitcast' goes between f32 and i32, not from \(a.type.rawValue) to \(type.rawValue)")
    case .round(let a, let dtype):
      try require(a.type == .f32, "'round' wants f32, got \(a.type.rawValue)")
      try require(dtype.isFloat, "'round' goes to a float type, not \(dtype.rawValue)")
    }
  }
}
