import IR

// Shorthands for the gradient rules.
extension GradientBuilder {
  /// A float constant of the type of another value.
  mutating func constant(_ number: Double, like value: Value) throws(Diagnostic) -> Value {
    try emit(Constant(number, type(of: value)))
  }
  mutating func add(_ a: Value, _ b: Value) throws(Diagnostic) -> Value { try emit(Binary(.add), a, b) }
  mutating func subtract(_ a: Value, _ b: Value) throws(Diagnostic) -> Value { try emit(Binary(.subtract), a, b) }
  mutating func multiply(_ a: Value, _ b: Value) throws(Diagnostic) -> Value { try emit(Binary(.multiply), a, b) }
  mutating func divide(_ a: Value, _ b: Value) throws(Diagnostic) -> Value { try emit(Binary(.divide), a, b) }
  mutating func negate(_ a: Value) throws(Diagnostic) -> Value { try emit(Unary(.negate), a) }

  /// `value` times a number.
  mutating func scale(_ value: Value, by number: Double) throws(Diagnostic) -> Value {
    try multiply(value, constant(number, like: value))
  }

  /// Zeros where the condition does not hold.
  mutating func keep(_ value: Value, where condition: Value) throws(Diagnostic) -> Value {
    try emit(Select(), condition, value, constant(0, like: value))
  }

  /// Row-sparse gradients as ordinary tensors; others as they are.
  mutating func dense(_ value: Value) throws(Diagnostic) -> Value {
    type(of: value).rows == nil ? value : try emit(Densify(), value)
  }

  /// No gradient for any operand.
  var none: [Value?] { operands.map { _ in nil } }

  /// The gradient with respect to the first result, dense, where it takes part and the first operand is of floats.
  mutating func floatUpstream() throws(Diagnostic) -> Value? {
    guard let dy = upstream[0], type(of: dy).dtype.isFloat else { return nil }
    return try dense(dy)
  }
}
