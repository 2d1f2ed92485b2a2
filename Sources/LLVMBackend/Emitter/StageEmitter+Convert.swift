#if LLVM
internal import CLLVM
import IR

/// Conversions between compute types, and between those and what stands in memory.
extension StageEmitter {
  func convert(_ a: LLVMValueRef, _ from: ScalarType, to type: ScalarType) -> LLVMValueRef {
    switch (from, type) {
    case (.f32, .f32), (.i32, .i32), (.i64, .i64), (.bool, .bool): return a
    case (.f32, .bool): return code.compare(a, LLVMRealUNE, code.float(0, lanes: code.lanes(a)))
    case (.i32, .bool), (.i64, .bool): return code.compare(a, LLVMIntNE, code.integer(0, like: a))
    case (.f32, .i32): return saturate(a, to: code.i32, bits: 31)
    case (.f32, .i64): return saturate(a, to: code.i64, bits: 63)
    case (.i32, .f32), (.i64, .f32): return code.cast(LLVMSIToFP, a, to: code.f32)
    case (.bool, .f32): return code.cast(LLVMUIToFP, a, to: code.f32)
    case (.bool, .i32), (.bool, .i64): return code.cast(LLVMZExt, a, to: computeType(type))
    case (.i32, .i64): return code.cast(LLVMSExt, a, to: code.i64)
    case (.i64, .i32): return code.cast(LLVMTrunc, a, to: code.i32)
    }
  }

  /// A float as the nearest integer towards zero; NaN as 0.
  private func saturate(_ a: LLVMValueRef, to type: LLVMTypeRef, bits: Int) -> LLVMValueRef {
    let lanes = code.lanes(a)
    let bound = Float(sign: .plus, exponent: bits, significand: 1)
    let isTooLarge = code.compare(a, LLVMRealOGE, code.float(bound, lanes: lanes))
    let isInRange = code.and(
      code.compare(a, LLVMRealOGE, code.float(-bound, lanes: lanes)),
      code.compare(a, LLVMRealOLT, code.float(bound, lanes: lanes)))
    let isTooSmall = code.compare(a, LLVMRealOLT, code.float(-bound, lanes: lanes))
    let safe = code.select(isInRange, a, code.float(0, lanes: lanes))
    let inside = code.cast(LLVMFPToSI, safe, to: type)
    let smallest = Int64.min >> (63 - bits)
    let low = code.select(isTooSmall, code.integer(smallest, like: inside), inside)
    return code.select(isTooLarge, code.integer(~smallest, like: inside), low)
  }

  /// How an element stands in memory.
  func memoryType(_ dtype: DType) -> LLVMTypeRef {
    switch dtype {
    case .f32: code.f32
    case .bf16, .f16: code.i16
    case .i32: code.i32
    case .i64: code.i64
    case .u8, .bool: code.i8
    }
  }

  /// An element as it is computed with.
  func widen(_ raw: LLVMValueRef, from dtype: DType) -> LLVMValueRef {
    switch dtype {
    case .f32, .i32, .i64: return raw
    case .u8: return code.cast(LLVMZExt, raw, to: code.i32)
    case .bool: return code.compare(raw, LLVMIntNE, code.integer(0, like: raw))
    case .bf16:
      let wide = code.cast(LLVMZExt, raw, to: code.i32)
      return floatBits(code.shiftLeft(wide, code.integer(16, like: wide)))
    case .f16: return target.convertsHalf ? widenHalf(raw) : widenHalfInSoftware(raw)
    }
  }

  /// A computed value as it stands in memory: floats rounded to nearest, ties to even.
  func narrow(_ value: LLVMValueRef, to dtype: DType) -> LLVMValueRef {
    switch dtype {
    case .f32, .i32, .i64: return value
    case .u8: return code.cast(LLVMTrunc, value, to: code.i8)
    case .bool: return code.cast(LLVMZExt, value, to: code.i8)
    case .bf16:
      let bits = integerBits(value)
      let high = code.shiftRight(bits, by: 16)
      let odd = code.and(high, code.integer(1, like: bits))
      let rounded = code.add(bits, code.add(odd, code.integer(0x7fff, like: bits)))
      let quiet = code.or(high, code.integer(0x40, like: bits))
      let isNaN = code.compare(value, LLVMRealUNO, value)
      return code.cast(LLVMTrunc, code.select(isNaN, quiet, code.shiftRight(rounded, by: 16)), to: code.i16)
    case .f16: return target.convertsHalf ? narrowHalf(value) : narrowHalfInSoftware(value)
    }
  }

  private func floatBits(_ bits: LLVMValueRef) -> LLVMValueRef { code.bitcast(bits, to: code.vector(code.f32, code.lanes(bits))) }
  private func integerBits(_ value: LLVMValueRef) -> LLVMValueRef { code.bitcast(value, to: code.vector(code.i32, code.lanes(value))) }

  private func widenHalf(_ raw: LLVMValueRef) -> LLVMValueRef {
    let half = code.bitcast(raw, to: code.vector(code.f16, code.lanes(raw)))
    return code.cast(LLVMFPExt, half, to: code.f32)
  }

  private func narrowHalf(_ value: LLVMValueRef) -> LLVMValueRef {
    let half = code.cast(LLVMFPTrunc, value, to: code.f16)
    return code.bitcast(half, to: code.vector(code.i16, code.lanes(value)))
  }

  /// The exponent is moved by a multiplication, which also makes subnormal halves normal.
  private func widenHalfInSoftware(_ raw: LLVMValueRef) -> LLVMValueRef {
    let wide = code.cast(LLVMZExt, raw, to: code.i32)
    let sign = code.shiftLeft(code.and(wide, code.integer(0x8000, like: wide)), code.integer(16, like: wide))
    let magnitude = code.shiftLeft(code.and(wide, code.integer(0x7fff, like: wide)), code.integer(13, like: wide))
    let lanes = code.lanes(raw)
    let scaled = integerBits(code.float(LLVMFMul, floatBits(magnitude), code.float(0x1p112, lanes: lanes)))
    let isSpecial = code.compare(magnitude, LLVMIntUGE, code.integer(0x7c00 << 13, like: wide))
    let special = code.or(magnitude, code.integer(0x7f80_0000, like: wide))
    return floatBits(code.or(sign, code.select(isSpecial, special, scaled)))
  }

  /// As `Half.init` does it.
  private func narrowHalfInSoftware(_ value: LLVMValueRef) -> LLVMValueRef {
    let bits = integerBits(value)
    let lanes = code.lanes(value)
    func constant(_ value: Int64) -> LLVMValueRef { code.integer(value, like: bits) }
    let sign = code.and(code.shiftRight(bits, by: 16), constant(0x8000))
    let magnitude = code.and(bits, constant(0x7fff_ffff))
    let shifted = integerBits(code.float(LLVMFAdd, floatBits(magnitude), code.float(0.5, lanes: lanes)))
    let small = code.subtract(shifted, constant(0x3f00_0000))
    let odd = code.and(code.shiftRight(magnitude, by: 13), constant(1))
    let biased = code.add(code.add(magnitude, constant(0xfff - 0x3800_0000)), odd)
    var result = code.shiftRight(biased, by: 13)
    result = code.select(code.compare(magnitude, LLVMIntULT, constant(0x3880_0000)), small, result)
    result = code.select(code.compare(magnitude, LLVMIntUGE, constant(0x4780_0000)), constant(0x7c00), result)
    result = code.select(code.compare(magnitude, LLVMIntUGT, constant(0x7f80_0000)), constant(0x7e00), result)
    return code.cast(LLVMTrunc, code.or(sign, result), to: code.i16)
  }
}
#endif
