import IR

/// Decides what is known while a kernel is built: comparisons of positions whose ranges settle them, and what follows.
func folded(_ expression: Scalar) -> Scalar {
  switch expression {
  case .compare(let comparison, let a, let b):
    guard let l = range(of: a), let r = range(of: b) else { return expression }
    switch comparison {
    case .less: return decided(expression, l.upperBound < r.lowerBound, l.lowerBound >= r.upperBound)
    case .lessOrEqual: return decided(expression, l.upperBound <= r.lowerBound, l.lowerBound > r.upperBound)
    case .greater: return decided(expression, l.lowerBound > r.upperBound, l.upperBound <= r.lowerBound)
    case .greaterOrEqual: return decided(expression, l.lowerBound >= r.upperBound, l.upperBound < r.lowerBound)
    case .equal: return decided(expression, l.count == 1 && l == r, !l.overlaps(r))
    case .notEqual: return decided(expression, !l.overlaps(r), l.count == 1 && l == r)
    }
  case .binary(.and, let a, let b):
    let (a, b) = (folded(a), folded(b))
    if a == .boolean(true) || b == .boolean(false) { return b }
    if b == .boolean(true) || a == .boolean(false) { return a }
    return .binary(.and, a, b)
  case .binary(.or, let a, let b):
    let (a, b) = (folded(a), folded(b))
    if a == .boolean(false) || b == .boolean(true) { return b }
    if b == .boolean(false) || a == .boolean(true) { return a }
    return .binary(.or, a, b)
  case .unary(.not, let a):
    let a = folded(a)
    if case .boolean(let known) = a { return .boolean(!known) }
    return .unary(.not, a)
  case .select(let condition, let a, let b):
    switch folded(condition) {
    case .boolean(true): return folded(a)
    case .boolean(false): return folded(b)
    case let open: return .select(open, a, b)
    }
  default: return expression
  }
}

private func decided(_ expression: Scalar, _ isTrue: Bool, _ isFalse: Bool) -> Scalar {
  isTrue ? .boolean(true) : isFalse ? .boolean(false) : expression
}

private func range(of expression: Scalar) -> ClosedRange<Int>? {
  switch expression {
  case .position(let position): return position.range
  case .integer(let value, _): return Int(value)...Int(value)
  case .convert(let inner, .i32), .convert(let inner, .i64): return range(of: inner)
  default: return nil
  }
}
