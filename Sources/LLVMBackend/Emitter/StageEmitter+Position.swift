#if LLVM
internal import CLLVM
import IR

extension StageEmitter {
  /// How a position moves over the lanes of the vector loop.
  enum Motion {
    case uniform
    case affine(step: Int)
    /// The lanes of a vector are side by side, wherever the next vector's are.
    case piecewise
    case irregular
  }

  func motion(of position: Position) -> Motion {
    guard let vector else { return .uniform }
    let readsVarying = position.variables.contains { variable in
      if case .varying = values[variable] { return true }
      return values[variable] == nil && accumulators[variable]?.isVector == true
    }
    if readsVarying { return .irregular }
    guard let step = position.step(along: vector.loop) else {
      return position.isContiguous(along: vector.loop, by: vector.width) ? .piecewise : .irregular
    }
    return step == 0 ? .uniform : .affine(step: step)
  }

  private func isUniform(_ atom: Position.Atom) -> Bool {
    let alone: Position
    switch atom {
    case .loop(let loop): return loop != vector?.loop
    case .variable(let variable): alone = Position(variable)
    case .quotient(let inner, _), .remainder(let inner, _): alone = inner
    }
    if case .uniform = motion(of: alone) { return true }
    return false
  }

  /// The value of a position, i64; the vector loop's own counter counts as 0 where the position is affine in it.
  func uniform(_ position: Position) -> LLVMValueRef {
    var sum: LLVMValueRef?
    for term in position.terms where term.atom != (vector.map { .loop($0.loop) }) {
      let atom = uniform(term.atom)
      let scaled = term.coefficient == 1 ? atom : code.multiply(atom, code.integer(Int64(term.coefficient)))
      sum = sum.map { code.add($0, scaled) } ?? scaled
    }
    guard let sum else { return code.integer(Int64(position.constant)) }
    return position.constant == 0 ? sum : code.add(sum, code.integer(Int64(position.constant)))
  }

  /// The value of a position, i64, at the first lane of a copy.
  func first(of position: Position, copy: Int) -> LLVMValueRef {
    guard let vector else { return uniform(position) }
    let lane = LoopVariable(-1, below: vector.loop.extent)
    loops[lane] = code.add(vector.index, code.integer(Int64(copy * vector.width)))
    defer { loops[lane] = nil }
    return uniform(position.replacing { $0 == vector.loop ? Position(lane) : Position($0) })
  }

  private func uniform(_ atom: Position.Atom) -> LLVMValueRef {
    switch atom {
    case .loop(let loop):
      guard let value = loops[loop] else { preconditionFailure("loop \(loop.id) is around its use") }
      return value
    case .variable(let variable):
      guard case .uniform(let value)? = try? value(of: variable) else {
        preconditionFailure("variable \(variable.id) is one integer where it is used")
      }
      return variable.type == .i64 ? value : code.cast(LLVMSExt, value, to: code.i64)
    case .quotient(let inner, let by): return quotient(uniform(inner), by, isNatural(inner))
    case .remainder(let inner, let by): return remainder(uniform(inner), by, isNatural(inner))
    }
  }

  /// Whether lanes can be computed in 32 bits without overflow.
  private func isNarrow(_ position: Position) -> Bool {
    let limit = Int(Int32.max)
    guard let range = position.range, range.lowerBound >= -limit, range.upperBound <= limit else { return false }
    return position.terms.allSatisfy { term in
      guard let own = term.atom.range, abs(term.coefficient) <= limit else { return false }
      let reach = max(abs(own.lowerBound), abs(own.upperBound)).multipliedReportingOverflow(by: abs(term.coefficient))
      guard !reach.overflow, reach.partialValue <= limit else { return false }
      switch term.atom {
      case .loop: return true
      case .variable: return false
      case .quotient(let inner, let by), .remainder(let inner, let by): return by <= limit && isNarrow(inner)
      }
    }
  }

  private func isNatural(_ position: Position) -> Bool { position.range.map { $0.lowerBound >= 0 } ?? false }

  /// The values of a position in all lanes of a copy, as i32 where that is wide enough and i64 otherwise.
  func lanes(of position: Position, copy: Int) -> LLVMValueRef {
    lanes(of: position, copy: copy, isNarrow(position) ? code.i32 : code.i64)
  }

  private func lanes(of position: Position, copy: Int, _ type: LLVMTypeRef) -> LLVMValueRef {
    guard let vector else { preconditionFailure("lanes exist inside a vector loop") }
    var steady = code.integer(Int64(position.constant))
    var sum: LLVMValueRef?
    for term in position.terms {
      if isUniform(term.atom) {
        steady = code.add(steady, code.multiply(uniform(term.atom), code.integer(Int64(term.coefficient))))
        continue
      }
      let atom = lanes(of: term.atom, copy: copy, type)
      let scaled = term.coefficient == 1 ? atom : code.multiply(atom, code.integer(Int64(term.coefficient), like: atom))
      sum = sum.map { code.add($0, scaled) } ?? scaled
    }
    let base = type == code.i64 ? steady : code.cast(LLVMTrunc, steady, to: type)
    let spread = code.splat(base, vector.width)
    return sum.map { code.add($0, spread) } ?? spread
  }

  private func lanes(of atom: Position.Atom, copy: Int, _ type: LLVMTypeRef) -> LLVMValueRef {
    switch atom {
    case .loop: return counters(copy: copy, type)
    case .variable(let variable):
      guard case .varying(let vectors)? = try? value(of: variable) else {
        preconditionFailure("variable \(variable.id) varies where it is used so")
      }
      return variable.type == .i64 ? vectors[copy] : code.cast(LLVMSExt, vectors[copy], to: code.i64)
    case .quotient(let inner, let by): return quotient(lanes(of: inner, copy: copy, type), by, isNatural(inner))
    case .remainder(let inner, let by): return remainder(lanes(of: inner, copy: copy, type), by, isNatural(inner))
    }
  }

  /// The vector loop's counter in all lanes of a copy.
  func counters(copy: Int, _ type: LLVMTypeRef) -> LLVMValueRef {
    guard let vector else { preconditionFailure("lanes exist inside a vector loop") }
    let first = code.add(vector.index, code.integer(Int64(copy * vector.width)))
    let narrow = type == code.i64 ? first : code.cast(LLVMTrunc, first, to: type)
    return code.add(code.splat(narrow, vector.width), code.ramp(type, vector.width))
  }

  /// The floor quotient by a positive constant.
  private func quotient(_ value: LLVMValueRef, _ divisor: Int, _ isNatural: Bool) -> LLVMValueRef {
    let by = code.integer(Int64(divisor), like: value)
    if divisor & (divisor - 1) == 0 {
      let bits = code.integer(Int64(divisor.trailingZeroBitCount), like: value)
      return isNatural ? code.shiftRight(value, bits) : code.arithmeticShiftRight(value, bits)
    }
    if isNatural { return code.divideUnsigned(value, by) }
    let quotient = code.divideSigned(value, by)
    let rest = code.subtract(value, code.multiply(quotient, by))
    let isBelow = code.compare(rest, LLVMIntSLT, code.integer(0, like: value))
    return code.select(isBelow, code.subtract(quotient, code.integer(1, like: value)), quotient)
  }

  /// The floor remainder by a positive constant.
  private func remainder(_ value: LLVMValueRef, _ divisor: Int, _ isNatural: Bool) -> LLVMValueRef {
    if divisor & (divisor - 1) == 0 { return code.and(value, code.integer(Int64(divisor - 1), like: value)) }
    let by = code.integer(Int64(divisor), like: value)
    return code.subtract(value, code.multiply(quotient(value, divisor, isNatural), by))
  }
}
#endif
