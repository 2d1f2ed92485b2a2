import IR

extension StageEmitter {
  /// The C expression for a scalar, in parentheses where it is more than one word or call.
  mutating func expression(_ scalar: Scalar, partially part: Variable? = nil) throws(Violation) -> String {
    switch scalar {
    case .float(let value): return literal(Float(value))
    case .integer(let value, let type): return literal(value, type)
    case .boolean(let value): return value ? "true" : "false"
    case .position(let position):
      let index = try index(position)
      if position.terms.isEmpty { return literal(Int64(position.constant), .i64) }
      return index.utf8.allSatisfy(CUDAEmitter.isLetterOrDigit) ? "((long long)\(index))" : "((long long)(\(index)))"
    case .variable(let variable): return variable == part ? partialName(variable) : name(variable)
    case .load(let buffer, _, let position, let condition):
      let element = loaded(try place(buffer, position), from: buffer)
      guard let condition else { return element }
      let zero = try expression(Scalar.zero(scalar.type))
      return "(\(try expression(condition)) ? \(element) : \(zero))"
    case .unary(let function, let a): return unary(function, try expression(a, partially: part), a.type)
    case .binary(let function, let a, let b):
      return binary(function, try expression(a, partially: part), try expression(b, partially: part), a.type)
    case .compare(let comparison, let a, let b):
      return "(\(try expression(a)) \(sign(comparison)) \(try expression(b)))"
    case .select(let condition, let a, let b):
      return "(\(try expression(condition)) ? \(try expression(a)) : \(try expression(b)))"
    case .fusedMultiplyAdd(let a, let b, let c):
      return "fmaf(\(try expression(a)), \(try expression(b)), \(try expression(c)))"
    case .convert(let a, let type): return converted(try expression(a), from: a.type, to: type)
    case .bitcast(let a, let type): return try bitcast(try expression(a), from: a.type, to: type)
    case .round(let a, let dtype): return try rounded(try expression(a), to: dtype)
    }
  }

  /// An expression without the parentheses around all of it.
  func bare(_ text: String) -> String {
    guard text.hasPrefix("("), text.hasSuffix(")") else { return text }
    var depth = 0
    for (offset, character) in text.utf8.enumerated() {
      if character == UInt8(ascii: "(") { depth += 1 }
      if character == UInt8(ascii: ")") { depth -= 1 }
      if depth == 0 && offset < text.utf8.count - 1 { return text }
    }
    return String(text.dropFirst().dropLast())
  }

  private func literal(_ value: Float) -> String {
    if !value.isFinite { return "float_of(0x\(String(value.bitPattern, radix: 16))u)" }
    let digits = "\(value)f"
    return value.sign == .minus ? "(\(digits))" : digits
  }

  private func literal(_ value: Int64, _ type: ScalarType) -> String {
    switch type {
    case .f32: return literal(Float(value))
    case .bool: return value == 0 ? "false" : "true"
    case .i32:
      let narrow = Int32(truncatingIfNeeded: value)
      if narrow == .min { return "(-2147483647 - 1)" }
      return narrow < 0 ? "(\(narrow))" : "\(narrow)"
    case .i64:
      if value == .min { return "(-9223372036854775807LL - 1)" }
      return value < 0 ? "(\(value)LL)" : "\(value)LL"
    }
  }

  /// An element as it is computed with.
  private func loaded(_ element: String, from buffer: BufferID) -> String {
    switch kernel.buffers[buffer.index].dtype {
    case .bf16, .f16, .u8: "widen(\(element))"
    case .f32, .i32, .i64, .bool: element
    }
  }

  /// A value as it is kept in memory.
  func stored(_ value: String, as buffer: BufferID) -> String {
    switch kernel.buffers[buffer.index].dtype {
    case .bf16: "to_bf16(\(value))"
    case .f16: "to_f16(\(value))"
    case .u8: "(unsigned char)\(value)"
    case .f32, .i32, .i64, .bool: value
    }
  }

  private func unary(_ function: UnaryFunction, _ a: String, _ type: ScalarType) -> String {
    let isFloat = type == .f32
    switch function {
    case .negate:
      if type == .bool { return a }
      return isFloat ? "(-\(a))" : "subtract(\(literal(0, type)), \(a))"
    case .absolute:
      if type == .bool { return a }
      return isFloat ? "fabsf(\(a))" : "absolute(\(a))"
    case .floor: return isFloat ? "floorf(\(a))" : a
    case .not: return type == .bool ? "(!\(a))" : "(~\(a))"
    case .squareRoot: return "sqrtf(\(a))"
    case .exponential: return "expf(\(a))"
    case .logarithm: return "logf(\(a))"
    case .sine: return "sine(\(a))"
    case .cosine: return "cosine(\(a))"
    case .tanh: return "tanhf(\(a))"
    case .sigmoid: return "sigmoid(\(a))"
    case .erf: return "erff(\(a))"
    case .reciprocalSquareRoot: return "rsqrtf(\(a))"
    }
  }

  private func binary(_ function: BinaryFunction, _ a: String, _ b: String, _ type: ScalarType) -> String {
    let isInteger = type == .i32 || type == .i64
    switch function {
    case .add: return isInteger ? "add(\(a), \(b))" : type == .bool ? "(\(a) | \(b))" : "(\(a) + \(b))"
    case .subtract: return isInteger ? "subtract(\(a), \(b))" : type == .bool ? "(\(a) ^ \(b))" : "(\(a) - \(b))"
    case .multiply: return isInteger ? "multiply(\(a), \(b))" : type == .bool ? "(\(a) & \(b))" : "(\(a) * \(b))"
    case .divide: return isInteger ? "floor_quotient(\(a), \(b))" : "(\(a) / \(b))"
    case .remainder: return "floor_remainder(\(a), \(b))"
    case .maximum: return "maximum(\(a), \(b))"
    case .minimum: return "minimum(\(a), \(b))"
    case .power: return "powf(\(a), \(b))"
    case .and: return "(\(a) & \(b))"
    case .or: return "(\(a) | \(b))"
    case .xor: return "(\(a) ^ \(b))"
    case .shiftLeft: return "shift_left(\(a), \(b))"
    case .shiftRight: return "shift_right(\(a), \(b))"
    }
  }

  private func sign(_ comparison: Comparison) -> String {
    switch comparison {
    case .equal: "=="
    case .notEqual: "!="
    case .less: "<"
    case .lessOrEqual: "<="
    case .greater: ">"
    case .greaterOrEqual: ">="
    }
  }

  private func converted(_ a: String, from: ScalarType, to: ScalarType) -> String {
    switch (from, to) {
    case (.f32, .f32), (.i32, .i32), (.i64, .i64), (.bool, .bool): a
    case (.f32, .i32): "to_int(\(a))"
    case (.f32, .i64): "to_long(\(a))"
    case (.f32, .bool): "(\(a) != 0.0f)"
    case (.i32, .bool), (.i64, .bool): "(\(a) != 0)"
    case (.i32, .f32), (.i64, .f32), (.bool, .f32): "((float)\(a))"
    case (.i32, .i64), (.bool, .i64): "((long long)\(a))"
    case (.i64, .i32), (.bool, .i32): "((int)\(a))"
    }
  }

  private func bitcast(_ a: String, from: ScalarType, to: ScalarType) throws(Violation) -> String {
    switch (from, to) {
    case (.f32, .i32): return "__float_as_int(\(a))"
    case (.i32, .f32): return "__int_as_float(\(a))"
    case _ where from == to: return a
    default: throw "a bitcast of \(from.rawValue) to \(to.rawValue)"
    }
  }

  private func rounded(_ a: String, to dtype: DType) throws(Violation) -> String {
    switch dtype {
    case .f32: return a
    case .bf16: return "widen(to_bf16(\(a)))"
    case .f16: return "widen(to_f16(\(a)))"
    case .i32, .i64, .u8, .bool: throw "an f32 is rounded to \(dtype.rawValue)"
    }
  }
}

extension Scalar {
  /// Zero, or false.
  static func zero(_ type: ScalarType) -> Scalar {
    switch type {
    case .f32: .float(0)
    case .i32, .i64: .integer(0, type)
    case .bool: .boolean(false)
    }
  }
}
