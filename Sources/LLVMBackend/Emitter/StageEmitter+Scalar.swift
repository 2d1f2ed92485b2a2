#if LLVM
internal import CLLVM
import IR

extension StageEmitter {
  /// The value of an expression.
  func emit(_ scalar: Scalar) throws(Diagnostic) -> Lanes {
    switch scalar {
    case .float(let value): return .uniform(code.float(Float(value)))
    case .integer(let value, let type): return .uniform(code.integer(value, computeType(type)))
    case .boolean(let value): return .uniform(code.integer(value ? 1 : 0, code.i1))
    case .position(let position): return emit(position)
    case .variable(let variable): return try value(of: variable)
    case .load(let buffer, let type, let position, let condition):
      return try load(buffer, type, position, condition)
    case .unary(let function, let a): return try unary(function, a)
    case .binary(let function, let a, let b): return try binary(function, a, b)
    case .compare(let comparison, let a, let b):
      let isFloat = a.type == .f32
      return map(try emit(a), try emit(b)) { self.compare(comparison, $0[0], $0[1], isFloat: isFloat, isBool: a.type == .bool) }
    case .select(let condition, let a, let b):
      return map(try emit(condition), try emit(a), try emit(b)) { self.code.select($0[0], $0[1], $0[2]) }
    case .fusedMultiplyAdd(let a, let b, let c):
      return map(try emit(a), try emit(b), try emit(c)) { self.fused($0[0], $0[1], $0[2]) }
    case .convert(let a, let type):
      let from = a.type
      return map(try emit(a)) { self.convert($0[0], from, to: type) }
    case .bitcast(let a, let type):
      return map(try emit(a)) { self.code.bitcast($0[0], to: self.code.vector(self.computeType(type), self.code.lanes($0[0]))) }
    case .round(let a, let dtype):
      return map(try emit(a)) { self.widen(self.narrow($0[0], to: dtype), from: dtype) }
    }
  }

  func emit(_ position: Position) -> Lanes {
    switch motion(of: position) {
    case .uniform: return .uniform(uniform(position))
    case .affine, .piecewise, .irregular:
      guard let vector else { preconditionFailure("a position varies only inside a vector loop") }
      return .varying((0..<vector.copies).map { copy in
        let lanes = lanes(of: position, copy: copy)
        return code.cast(LLVMSExt, lanes, to: code.i64)
      })
    }
  }

  private func unary(_ function: UnaryFunction, _ a: Scalar) throws(Diagnostic) -> Lanes {
    let operand = try emit(a)
    switch (function, a.type) {
    case (.negate, .f32): return map(operand) { self.code.negateFloat($0[0]) }
    case (.absolute, .f32): return map(operand) { self.intrinsic("llvm.fabs", $0[0]) }
    case (.squareRoot, .f32): return map(operand) { self.intrinsic("llvm.sqrt", $0[0]) }
    case (.floor, .f32): return map(operand) { self.intrinsic("llvm.floor", $0[0]) }
    case (.negate, .i32), (.negate, .i64): return map(operand) { self.code.subtract(self.code.integer(0, like: $0[0]), $0[0]) }
    case (.absolute, .i32), (.absolute, .i64):
      return map(operand) {
        let zero = self.code.integer(0, like: $0[0])
        return self.code.select(self.code.compare($0[0], LLVMIntSLT, zero), self.code.subtract(zero, $0[0]), $0[0])
      }
    case (.floor, .i32), (.floor, .i64): return operand
    case (.not, .i32), (.not, .i64), (.not, .bool): return map(operand) { self.code.not($0[0]) }
    case (.exponential, _), (.logarithm, _), (.sine, _), (.cosine, _), (.tanh, _), (.sigmoid, _), (.erf, _),
      (.reciprocalSquareRoot, _):
      throw unsupported("still has '\(function.rawValue)', which expand-math writes as basic arithmetic")
    case (_, _): throw unsupported("applies '\(function.rawValue)' to \(a.type.rawValue)")
    }
  }

  private func binary(_ function: BinaryFunction, _ a: Scalar, _ b: Scalar) throws(Diagnostic) -> Lanes {
    let (left, right) = (try emit(a), try emit(b))
    let type = a.type
    guard isDefined(function, type) else { throw unsupported("applies '\(function.rawValue)' to \(type.rawValue)") }
    return map(left, right) { self.combine(function, $0[0], $0[1], type) }
  }

  func isDefined(_ function: BinaryFunction, _ type: ScalarType) -> Bool {
    switch (function, type) {
    case (.power, _): false
    case (.and, .f32), (.or, .f32), (.xor, .f32), (.shiftLeft, .f32), (.shiftRight, .f32): false
    case (.divide, .bool), (.remainder, .bool), (.shiftLeft, .bool), (.shiftRight, .bool): false
    default: true
    }
  }

  /// One function on two scalars or two vectors of equal types.
  func combine(_ function: BinaryFunction, _ a: LLVMValueRef, _ b: LLVMValueRef, _ type: ScalarType) -> LLVMValueRef {
    switch type {
    case .f32: combineFloats(function, a, b)
    case .i32, .i64: combineIntegers(function, a, b)
    case .bool: combineBooleans(function, a, b)
    }
  }

  private func combineFloats(_ function: BinaryFunction, _ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef {
    switch function {
    case .add: return code.float(LLVMFAdd, a, b)
    case .subtract: return code.float(LLVMFSub, a, b)
    case .multiply: return code.float(LLVMFMul, a, b)
    case .divide: return code.float(LLVMFDiv, a, b)
    case .remainder:
      let quotient = intrinsic("llvm.floor", code.float(LLVMFDiv, a, b))
      return fused(code.negateFloat(quotient), b, a)
    case .maximum, .minimum:
      let wins = code.compare(a, function == .maximum ? LLVMRealOGT : LLVMRealOLT, b)
      let better = code.select(wins, a, b)
      return code.select(code.compare(a, LLVMRealUNO, a), a, better)
    case .power, .and, .or, .xor, .shiftLeft, .shiftRight:
      preconditionFailure("\(function.rawValue) is not defined for floats")
    }
  }

  private func combineBooleans(_ function: BinaryFunction, _ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef {
    switch function {
    case .add, .maximum, .or: code.or(a, b)
    case .multiply, .minimum, .and: code.and(a, b)
    case .subtract, .xor: code.xor(a, b)
    case .divide, .remainder, .power, .shiftLeft, .shiftRight:
      preconditionFailure("\(function.rawValue) is not defined for bool")
    }
  }

  private func combineIntegers(_ function: BinaryFunction, _ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef {
    let zero = code.integer(0, like: a)
    switch function {
    case .add: return code.add(a, b)
    case .subtract: return code.subtract(a, b)
    case .multiply: return code.multiply(a, b)
    case .maximum: return code.select(code.compare(a, LLVMIntSGT, b), a, b)
    case .minimum: return code.select(code.compare(a, LLVMIntSLT, b), a, b)
    case .and: return code.and(a, b)
    case .or: return code.or(a, b)
    case .xor: return code.xor(a, b)
    case .shiftLeft, .shiftRight:
      let width: Int64 = code.isWide(a) ? 64 : 32
      let isInside = code.compare(b, LLVMIntULT, code.integer(width, like: b))
      return code.select(isInside, function == .shiftLeft ? code.shiftLeft(a, b) : code.shiftRight(a, b), zero)
    case .divide, .remainder:
      // Divisors 0 and -1 have no instruction that never traps.
      let (one, minusOne) = (code.integer(1, like: a), code.integer(-1, like: a))
      let isZero = code.compare(b, LLVMIntEQ, zero)
      let isMinusOne = code.compare(b, LLVMIntEQ, minusOne)
      let divisor = code.select(code.or(isZero, isMinusOne), one, b)
      let quotient = code.divideSigned(a, divisor)
      let rest = code.subtract(a, code.multiply(quotient, divisor))
      let hasRest = code.compare(rest, LLVMIntNE, zero)
      let differs = code.compare(code.xor(rest, divisor), LLVMIntSLT, zero)
      let isAbove = code.and(hasRest, differs)
      if function == .remainder {
        // By 1 in place of 0 or -1 nothing is left, as it should be.
        return code.select(isAbove, code.add(rest, divisor), rest)
      }
      let floored = code.select(isAbove, code.subtract(quotient, one), quotient)
      return code.select(isZero, zero, code.select(isMinusOne, code.subtract(zero, a), floored))
    case .power: preconditionFailure("power is not defined for integers")
    }
  }

  private func compare(
    _ comparison: Comparison, _ a: LLVMValueRef, _ b: LLVMValueRef, isFloat: Bool, isBool: Bool
  ) -> LLVMValueRef {
    if isFloat {
      let predicate: LLVMRealPredicate =
        switch comparison {
        case .equal: LLVMRealOEQ
        case .notEqual: LLVMRealUNE
        case .less: LLVMRealOLT
        case .lessOrEqual: LLVMRealOLE
        case .greater: LLVMRealOGT
        case .greaterOrEqual: LLVMRealOGE
        }
      return code.compare(a, predicate, b)
    }
    let predicate: LLVMIntPredicate =
      switch comparison {
      case .equal: LLVMIntEQ
      case .notEqual: LLVMIntNE
      case .less: isBool ? LLVMIntULT : LLVMIntSLT
      case .lessOrEqual: isBool ? LLVMIntULE : LLVMIntSLE
      case .greater: isBool ? LLVMIntUGT : LLVMIntSGT
      case .greaterOrEqual: isBool ? LLVMIntUGE : LLVMIntSGE
      }
    return code.compare(a, predicate, b)
  }

  func intrinsic(_ name: String, _ a: LLVMValueRef) -> LLVMValueRef {
    code.call(name, overloads: [code.type(of: a)], [a])
  }

  func fused(_ a: LLVMValueRef, _ b: LLVMValueRef, _ c: LLVMValueRef) -> LLVMValueRef {
    code.call("llvm.fma", overloads: [code.type(of: a)], [a, b, c])
  }
}
#endif
