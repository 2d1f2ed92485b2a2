/// One step of a kernel made ready for interpretation. Registers hold 64 bits: integers, 0 or 1, or a double.
struct KernelInstruction {
  var code: Code
  /// Mostly the register written.
  var a: Int32 = 0
  var b: Int32 = 0
  var c: Int32 = 0
  var d: Int32 = 0
  var immediate: Int = 0

  enum Code: UInt8 {
    case move
    /// a = immediate + Σ coefficient · register, over the terms b ..< c of the program.
    case affine
    /// a = ⌊b / immediate⌋ and b − immediate · ⌊b / immediate⌋.
    case quotient, modulo
    /// a = buffer b [c], where register d says so; else 0.
    case load, loadGuarded
    /// Buffer a [b] = c.
    case store, storeBF16, storeF16, storeU8
    // Floats: a = f(b), a = f(b, c), a = f(b, c, d).
    case negateFloat, absoluteFloat, squareRoot, floor, exponential, logarithm, sine, cosine, tanh, sigmoid, erf
    case reciprocalSquareRoot
    case addFloat, subtractFloat, multiplyFloat, divideFloat, remainderFloat, maximumFloat, minimumFloat, power
    case multiplyAdd
    // Integers, 64 bits wide; `wrap32` follows where the type is i32.
    case negate, absolute, not, notBoolean
    case add, subtract, multiply, divide, remainder, maximum, minimum
    case and, or, xor, shiftLeft32, shiftLeft64, shiftRight32, shiftRight64
    case wrap32
    case equalFloat, notEqualFloat, lessFloat, lessOrEqualFloat
    case equal, notEqual, less, lessOrEqual
    /// a = b ? c : d.
    case select
    case floatToI32, floatToI64, floatToBoolean, integerToFloat, integerToBoolean
    case floatBits, floatFromBits, roundFloat, roundBF16, roundF16
    /// a = 0 and b = min(immediate, b); to d if there is no iteration.
    case loopBegin
    /// a += 1; to d while a < b.
    case loopEnd
    /// To d if a is 0.
    case jumpUnless
    /// Makes the content of the local buffers of stage a undefined.
    case forget
    /// Product number a of the program; b, c, d are the offsets of A, B, C, and register immediate the number of rows.
    case product
    case end
  }
}
