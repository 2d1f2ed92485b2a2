import IR

// What computes an expression. Each function emits instructions and returns the register that holds the value.
extension KernelProgram {
  func add(_ scalar: Scalar, as type: ScalarType) throws(Diagnostic) -> Int32 {
    guard scalar.type == type else { throw wrong("wants \(type.rawValue), got \(scalar.type.rawValue)") }
    return try add(scalar)
  }

  private func add(_ scalar: Scalar) throws(Diagnostic) -> Int32 {
    switch scalar {
    case .float(let value): return constant(Int64(bitPattern: value.bitPattern))
    case .integer(let value, let type):
      switch type {
      case .i64: return constant(value)
      case .i32: return constant(Int64(Int32(truncatingIfNeeded: value)))
      case .f32, .bool: throw wrong("an integer constant of type \(type.rawValue)")
      }
    case .boolean(let value): return constant(value ? 1 : 0)
    case .position(let position): return try add(position)
    case .variable(let variable): return try register(of: variable)
    case .load(let id, let type, let position, let condition):
      let buffer = try buffer(id)
      guard ScalarType(buffer.dtype) == type else {
        throw wrong("loads \(type.rawValue) from \(buffer.dtype.rawValue) \(buffer.name)")
      }
      let position = try add(position)
      guard let condition else { return compute(.load, Int32(id.index), position) }
      return compute(.loadGuarded, Int32(id.index), position, try add(condition, as: .bool))
    case .unary(let function, let a): return try add(function, a)
    case .binary(let function, let a, let b): return try add(function, a, b)
    case .compare(let comparison, let a, let b): return try add(comparison, a, b)
    case .select(let condition, let a, let b):
      let condition = try add(condition, as: .bool)
      let (first, second) = (try add(a), try add(b, as: a.type))
      return compute(.select, condition, first, second)
    case .fusedMultiplyAdd(let a, let b, let c):
      let (a, b, c) = (try add(a, as: .f32), try add(b, as: .f32), try add(c, as: .f32))
      return compute(.multiplyAdd, a, b, c)
    case .convert(let a, let type): return try add(converting: a, to: type)
    case .bitcast(let a, let type):
      switch (a.type, type) {
      case (.f32, .i32): return compute(.floatBits, try add(a))
      case (.i32, .f32): return compute(.floatFromBits, try add(a))
      default: throw wrong("a bitcast of \(a.type.rawValue) to \(type.rawValue)")
      }
    case .round(let a, let dtype):
      let value = try add(a, as: .f32)
      switch dtype {
      case .f32: return compute(.roundFloat, value)
      case .bf16: return compute(.roundBF16, value)
      case .f16: return compute(.roundF16, value)
      case .i32, .i64, .u8, .bool: throw wrong("rounds to \(dtype.rawValue)")
      }
    }
  }

  /// Emits an integer instruction, and what keeps an i32 in its range.
  private func integer(_ code: KernelInstruction.Code, _ type: ScalarType, _ b: Int32, _ c: Int32 = 0) -> Int32 {
    let result = compute(code, b, c)
    return type == .i32 ? compute(.wrap32, result) : result
  }

  private func add(_ function: UnaryFunction, _ a: Scalar) throws(Diagnostic) -> Int32 {
    let value = try add(a)
    switch (function, a.type) {
    case (.negate, .f32): return compute(.negateFloat, value)
    case (.absolute, .f32): return compute(.absoluteFloat, value)
    case (.squareRoot, .f32): return compute(.squareRoot, value)
    case (.floor, .f32): return compute(.floor, value)
    case (.exponential, .f32): return compute(.exponential, value)
    case (.logarithm, .f32): return compute(.logarithm, value)
    case (.sine, .f32): return compute(.sine, value)
    case (.cosine, .f32): return compute(.cosine, value)
    case (.tanh, .f32): return compute(.tanh, value)
    case (.sigmoid, .f32): return compute(.sigmoid, value)
    case (.erf, .f32): return compute(.erf, value)
    case (.reciprocalSquareRoot, .f32): return compute(.reciprocalSquareRoot, value)
    case (.negate, .i32), (.negate, .i64): return integer(.negate, a.type, value)
    case (.absolute, .i32), (.absolute, .i64): return integer(.absolute, a.type, value)
    case (.floor, .i32), (.floor, .i64): return value
    case (.not, .i32), (.not, .i64): return compute(.not, value)
    case (.not, .bool): return compute(.notBoolean, value)
    default: throw wrong("'\(function.rawValue)' of \(a.type.rawValue)")
    }
  }

  private func add(_ function: BinaryFunction, _ a: Scalar, _ b: Scalar) throws(Diagnostic) -> Int32 {
    let type = a.type
    let (x, y) = (try add(a), try add(b, as: type))
    switch (function, type) {
    case (.add, .f32): return compute(.addFloat, x, y)
    case (.subtract, .f32): return compute(.subtractFloat, x, y)
    case (.multiply, .f32): return compute(.multiplyFloat, x, y)
    case (.divide, .f32): return compute(.divideFloat, x, y)
    case (.remainder, .f32): return compute(.remainderFloat, x, y)
    case (.maximum, .f32): return compute(.maximumFloat, x, y)
    case (.minimum, .f32): return compute(.minimumFloat, x, y)
    case (.power, .f32): return compute(.power, x, y)
    case (.add, .i32), (.add, .i64): return integer(.add, type, x, y)
    case (.subtract, .i32), (.subtract, .i64): return integer(.subtract, type, x, y)
    case (.multiply, .i32), (.multiply, .i64): return integer(.multiply, type, x, y)
    case (.divide, .i32), (.divide, .i64): return integer(.divide, type, x, y)
    case (.remainder, .i32), (.remainder, .i64): return compute(.remainder, x, y)
    case (.maximum, .i32), (.maximum, .i64): return compute(.maximum, x, y)
    case (.minimum, .i32), (.minimum, .i64): return compute(.minimum, x, y)
    case (.shiftLeft, .i32): return compute(.shiftLeft32, x, y)
    case (.shiftLeft, .i64): return compute(.shiftLeft64, x, y)
    case (.shiftRight, .i32): return compute(.shiftRight32, x, y)
    case (.shiftRight, .i64): return compute(.shiftRight64, x, y)
    case (.and, .i32), (.and, .i64), (.and, .bool): return compute(.and, x, y)
    case (.or, .i32), (.or, .i64), (.or, .bool): return compute(.or, x, y)
    case (.xor, .i32), (.xor, .i64), (.xor, .bool): return compute(.xor, x, y)
    // Of two truth values: as of 0 and 1, and then "not zero".
    case (.add, .bool), (.maximum, .bool): return compute(.or, x, y)
    case (.multiply, .bool), (.minimum, .bool): return compute(.and, x, y)
    default: throw wrong("'\(function.rawValue)' of \(type.rawValue)")
    }
  }

  private func add(_ comparison: Comparison, _ a: Scalar, _ b: Scalar) throws(Diagnostic) -> Int32 {
    let (x, y) = (try add(a), try add(b, as: a.type))
    let isFloat = a.type == .f32
    switch comparison {
    case .equal: return compute(isFloat ? .equalFloat : .equal, x, y)
    case .notEqual: return compute(isFloat ? .notEqualFloat : .notEqual, x, y)
    case .less: return compute(isFloat ? .lessFloat : .less, x, y)
    case .lessOrEqual: return compute(isFloat ? .lessOrEqualFloat : .lessOrEqual, x, y)
    case .greater: return compute(isFloat ? .lessFloat : .less, y, x)
    case .greaterOrEqual: return compute(isFloat ? .lessOrEqualFloat : .lessOrEqual, y, x)
    }
  }

  private func add(converting a: Scalar, to type: ScalarType) throws(Diagnostic) -> Int32 {
    let value = try add(a)
    switch (a.type, type) {
    case (.f32, .i32): return compute(.floatToI32, value)
    case (.f32, .i64): return compute(.floatToI64, value)
    case (.f32, .bool): return compute(.floatToBoolean, value)
    case (.i32, .f32), (.i64, .f32), (.bool, .f32): return compute(.integerToFloat, value)
    case (.i32, .bool), (.i64, .bool): return compute(.integerToBoolean, value)
    case (.i64, .i32): return compute(.wrap32, value)
    case (.f32, .f32), (.i32, .i32), (.i64, .i64), (.bool, .bool), (.i32, .i64), (.bool, .i32), (.bool, .i64):
      return value
    }
  }
}
