import IR

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The memory of one launch: 8 bytes an element, doubles and integers alike.
private final class KernelMemory {
  let buffers: UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Int64>>

  init(_ counts: [Int]) {
    buffers = .allocate(capacity: counts.count)
    for (number, count) in counts.enumerated() {
      buffers.initializeElement(at: number, to: .allocate(capacity: count))
    }
  }

  deinit {
    for buffer in buffers { buffer.deallocate() }
    buffers.deallocate()
  }
}

/// An access outside a buffer.
private struct Fault {
  var buffer: Int
  var offset: Int
  var action: String
}

extension KernelProgram {
  func run(_ inputs: [Literal], results: [TensorType]) throws(Diagnostic) -> [Literal] {
    let inputNumbers = buffers.indices.filter { buffers[$0].role == .input }
    let outputNumbers = buffers.indices.filter { buffers[$0].role == .output }
    try check(inputs.map(\.type), inputNumbers, "operands")
    try check(results, outputNumbers, "results")
    let memory = KernelMemory(buffers.map(\.count))
    for number in buffers.indices where buffers[number].role != .input {
      forget(memory.buffers[number], buffers[number].dtype)
    }
    for (number, input) in zip(inputNumbers, inputs) {
      let target = memory.buffers[number]
      switch input.elements {
      case .floats(let values):
        for (offset, value) in values.enumerated() { target[offset] = Int64(bitPattern: value.bitPattern) }
      case .integers(let values): _ = target.update(fromContentsOf: values)
      }
    }
    for output in outputNumbers {
      guard let start = buffers[output].updates else { continue }
      _ = memory.buffers[output].update(fromContentsOf: memory.buffers[start.index])
    }
    var state = registers
    if let fault = execute(&state, memory) {
      let buffer = buffers[fault.buffer]
      throw wrong("\(fault.action) \(buffer.name)[\(fault.offset)], which has \(buffer.count) elements")
    }
    return zip(outputNumbers, results).map { number, type in
      let values = memory.buffers[number]
      return type.dtype.isFloat
        ? Literal(type, floats: values.map { Double(bitPattern: UInt64(bitPattern: $0)) })
        : Literal(type, integers: Array(values))
    }
  }

  private func check(_ types: [TensorType], _ numbers: [Int], _ what: String) throws(Diagnostic) {
    guard types.count == numbers.count else { throw wrong("has \(numbers.count) \(what), got \(types.count)") }
    for (type, number) in zip(types, numbers) {
      let buffer = buffers[number]
      guard type.dtype == buffer.dtype, type.count == buffer.count, type.rows == nil else {
        throw wrong("wants \(buffer.count) elements of \(buffer.dtype.rawValue) for \(buffer.name), got \(type)")
      }
    }
  }

  /// Fills memory whose content is undefined with what nobody can take for a result.
  private func forget(_ memory: UnsafeMutableBufferPointer<Int64>, _ dtype: DType) {
    switch dtype {
    case .f32, .bf16, .f16: memory.update(repeating: Int64(bitPattern: Double.nan.bitPattern))
    case .i64: memory.update(repeating: -0x5a5a_5a5a_5a5a_5a5a)
    case .i32: memory.update(repeating: -0x5a5a_5a5a)
    case .u8: memory.update(repeating: 0xa5)
    case .bool: memory.update(repeating: 1)
    }
  }

  private func execute(_ state: inout [Int64], _ memory: KernelMemory) -> Fault? {
    state.withUnsafeMutableBufferPointer { state in
      instructions.withUnsafeBufferPointer { code in
        terms.withUnsafeBufferPointer { terms in
          guard let registers = state.baseAddress else { return nil }
          return execute(code, terms, registers, memory.buffers)
        }
      }
    }
  }

  private func execute(
    _ code: UnsafeBufferPointer<KernelInstruction>, _ terms: UnsafeBufferPointer<(coefficient: Int, register: Int32)>,
    _ r: UnsafeMutablePointer<Int64>, _ memory: UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Int64>>
  ) -> Fault? {
    func float(_ register: Int32) -> Double { Double(bitPattern: UInt64(bitPattern: r[Int(register)])) }
    func set(_ register: Int32, _ value: Double) { r[Int(register)] = Int64(bitPattern: value.bitPattern) }
    func int(_ register: Int32) -> Int64 { r[Int(register)] }
    func set(_ register: Int32, _ value: Int64) { r[Int(register)] = value }
    func set(_ register: Int32, _ value: Bool) { r[Int(register)] = value ? 1 : 0 }

    var next = 0
    while true {
      let i = code[next]
      next += 1
      switch i.code {
      case .move: set(i.a, int(i.b))
      case .affine:
        var sum = i.immediate
        for number in Int(i.b)..<Int(i.c) { sum &+= terms[number].coefficient &* Int(int(terms[number].register)) }
        set(i.a, Int64(sum))
      case .quotient: set(i.a, floorQuotient(int(i.b), Int64(i.immediate)))
      case .modulo: set(i.a, floorRemainder(int(i.b), Int64(i.immediate)))
      case .load, .loadGuarded:
        if i.code == .loadGuarded, int(i.d) == 0 {
          set(i.a, Int64(0))
        } else {
          let (buffer, offset) = (memory[Int(i.b)], Int(int(i.c)))
          guard offset >= 0, offset < buffer.count else {
            return Fault(buffer: Int(i.b), offset: offset, action: "loads")
          }
          set(i.a, buffer[offset])
        }
      case .store, .storeBF16, .storeF16, .storeU8:
        let (buffer, offset) = (memory[Int(i.a)], Int(int(i.b)))
        guard offset >= 0, offset < buffer.count else {
          return Fault(buffer: Int(i.a), offset: offset, action: "stores to")
        }
        switch i.code {
        case .storeBF16: buffer[offset] = bits(roundedToBF16(float(i.c)))
        case .storeF16: buffer[offset] = bits(roundedToF16(float(i.c)))
        case .storeU8: buffer[offset] = int(i.c) & 0xff
        default: buffer[offset] = int(i.c)
        }
      case .negateFloat: set(i.a, -float(i.b))
      case .absoluteFloat: set(i.a, abs(float(i.b)))
      case .squareRoot: set(i.a, float(i.b).squareRoot())
      case .floor: set(i.a, float(i.b).rounded(.down))
      case .exponential: set(i.a, exp(float(i.b)))
      case .logarithm: set(i.a, log(float(i.b)))
      case .sine: set(i.a, sin(float(i.b)))
      case .cosine: set(i.a, cos(float(i.b)))
      case .tanh: set(i.a, tanh(float(i.b)))
      case .sigmoid: set(i.a, 1 / (1 + exp(-float(i.b))))
      case .erf: set(i.a, erf(float(i.b)))
      case .reciprocalSquareRoot: set(i.a, 1 / float(i.b).squareRoot())
      case .addFloat: set(i.a, float(i.b) + float(i.c))
      case .subtractFloat: set(i.a, float(i.b) - float(i.c))
      case .multiplyFloat: set(i.a, float(i.b) * float(i.c))
      case .divideFloat: set(i.a, float(i.b) / float(i.c))
      case .remainderFloat:
        let (x, y) = (float(i.b), float(i.c))
        set(i.a, x - y * (x / y).rounded(.down))
      case .maximumFloat:
        let (x, y) = (float(i.b), float(i.c))
        set(i.a, x.isNaN || y.isNaN ? .nan : max(x, y))
      case .minimumFloat:
        let (x, y) = (float(i.b), float(i.c))
        set(i.a, x.isNaN || y.isNaN ? .nan : min(x, y))
      case .power: set(i.a, pow(float(i.b), float(i.c)))
      case .multiplyAdd: set(i.a, float(i.d).addingProduct(float(i.b), float(i.c)))
      case .negate: set(i.a, 0 &- int(i.b))
      case .absolute: set(i.a, int(i.b) < 0 ? 0 &- int(i.b) : int(i.b))
      case .not: set(i.a, ~int(i.b))
      case .notBoolean: set(i.a, int(i.b) == 0)
      case .add: set(i.a, int(i.b) &+ int(i.c))
      case .subtract: set(i.a, int(i.b) &- int(i.c))
      case .multiply: set(i.a, int(i.b) &* int(i.c))
      case .divide: set(i.a, floorQuotient(int(i.b), int(i.c)))
      case .remainder: set(i.a, floorRemainder(int(i.b), int(i.c)))
      case .maximum: set(i.a, max(int(i.b), int(i.c)))
      case .minimum: set(i.a, min(int(i.b), int(i.c)))
      case .and: set(i.a, int(i.b) & int(i.c))
      case .or: set(i.a, int(i.b) | int(i.c))
      case .xor: set(i.a, int(i.b) ^ int(i.c))
      case .shiftLeft32:
        let by = int(i.c)
        set(i.a, by >= 0 && by < 32 ? Int64(Int32(truncatingIfNeeded: int(i.b)) << by) : 0)
      case .shiftLeft64:
        let by = int(i.c)
        set(i.a, by >= 0 && by < 64 ? int(i.b) << by : 0)
      case .shiftRight32:
        let by = int(i.c)
        let value = UInt32(truncatingIfNeeded: int(i.b))
        set(i.a, by >= 0 && by < 32 ? Int64(Int32(bitPattern: value >> by)) : 0)
      case .shiftRight64:
        let by = int(i.c)
        set(i.a, by >= 0 && by < 64 ? Int64(bitPattern: UInt64(bitPattern: int(i.b)) >> by) : 0)
      case .wrap32: set(i.a, Int64(Int32(truncatingIfNeeded: int(i.b))))
      case .equalFloat: set(i.a, float(i.b) == float(i.c))
      case .notEqualFloat: set(i.a, float(i.b) != float(i.c))
      case .lessFloat: set(i.a, float(i.b) < float(i.c))
      case .lessOrEqualFloat: set(i.a, float(i.b) <= float(i.c))
      case .equal: set(i.a, int(i.b) == int(i.c))
      case .notEqual: set(i.a, int(i.b) != int(i.c))
      case .less: set(i.a, int(i.b) < int(i.c))
      case .lessOrEqual: set(i.a, int(i.b) <= int(i.c))
      case .select: set(i.a, int(i.b) != 0 ? int(i.c) : int(i.d))
      case .floatToI32: set(i.a, Int64(saturated(float(i.b), as: Int32.self)))
      case .floatToI64: set(i.a, saturated(float(i.b), as: Int64.self))
      case .floatToBoolean: set(i.a, float(i.b) != 0)
      case .integerToFloat: set(i.a, Double(int(i.b)))
      case .integerToBoolean: set(i.a, int(i.b) != 0)
      case .floatBits: set(i.a, Int64(Int32(bitPattern: Float(float(i.b)).bitPattern)))
      case .floatFromBits: set(i.a, Double(Float(bitPattern: UInt32(truncatingIfNeeded: int(i.b)))))
      case .roundFloat: set(i.a, Double(Float(float(i.b))))
      case .roundBF16: set(i.a, roundedToBF16(float(i.b)))
      case .roundF16: set(i.a, roundedToF16(float(i.b)))
      case .loopBegin:
        set(i.a, Int64(0))
        set(i.b, min(int(i.b), Int64(i.immediate)))
        if int(i.b) <= 0 { next = Int(i.d) }
      case .loopEnd:
        set(i.a, int(i.a) + 1)
        if int(i.a) < int(i.b) { next = Int(i.d) }
      case .jumpUnless: if int(i.a) == 0 { next = Int(i.d) }
      case .forget: for local in stageLocals[Int(i.a)] { forget(memory[local], buffers[local].dtype) }
      case .product:
        let (product, depthRegister) = products[Int(i.a)]
        let rows = min(product.m, Int(r[i.immediate]))
        let depth = max(0, min(product.k, Int(int(depthRegister))))
        if let fault = multiply(product, rows, depth, Int(int(i.b)), Int(int(i.c)), Int(int(i.d)), memory) { return fault }
      case .end: return nil
      }
    }
  }

  private func multiply(
    _ product: Product, _ rows: Int, _ depth: Int, _ aStart: Int, _ bStart: Int, _ cStart: Int,
    _ memory: UnsafeMutableBufferPointer<UnsafeMutableBufferPointer<Int64>>
  ) -> Fault? {
    guard rows > 0, product.n > 0 else { return nil }
    let (a, b, c) = (product.a, product.b, product.c)
    let fault =
      reach(a, aStart, rows, depth, "multiplies") ?? reach(b, bStart, depth, product.n, "multiplies")
      ?? reach(c, cStart, rows, product.n, "stores a product to")
    if let fault { return fault }
    let (x, y, z) = (memory[a.buffer.index], memory[b.buffer.index], memory[c.buffer.index])
    let dtype = buffers[c.buffer.index].dtype
    for i in 0..<rows {
      for j in 0..<product.n {
        let target = cStart + i * c.rowStride + j * c.columnStride
        var sum = product.accumulates ? Double(bitPattern: UInt64(bitPattern: z[target])) : 0
        var (left, right) = (aStart + i * a.rowStride, bStart + j * b.columnStride)
        for _ in 0..<depth {
          let (p, q) = (x[left], y[right])
          sum += Double(bitPattern: UInt64(bitPattern: p)) * Double(bitPattern: UInt64(bitPattern: q))
          left += a.columnStride
          right += b.rowStride
        }
        switch dtype {
        case .bf16: z[target] = bits(roundedToBF16(sum))
        case .f16: z[target] = bits(roundedToF16(sum))
        default: z[target] = bits(sum)
        }
      }
    }
    return nil
  }

  /// Whether a matrix leaves its buffer, and where.
  private func reach(_ matrix: Product.Matrix, _ start: Int, _ rows: Int, _ columns: Int, _ action: String) -> Fault? {
    guard rows > 0, columns > 0 else { return nil }
    var (low, high) = (start, start)
    for (extent, stride) in [(rows, matrix.rowStride), (columns, matrix.columnStride)] {
      let (span, tooWide) = stride.multipliedReportingOverflow(by: extent - 1)
      let (end, tooFar) = (span < 0 ? low : high).addingReportingOverflow(span)
      if tooWide || tooFar { return Fault(buffer: matrix.buffer.index, offset: .max, action: action) }
      if span < 0 { low = end } else { high = end }
    }
    let count = buffers[matrix.buffer.index].count
    guard low >= 0 else { return Fault(buffer: matrix.buffer.index, offset: low, action: action) }
    guard high < count else { return Fault(buffer: matrix.buffer.index, offset: high, action: action) }
    return nil
  }
}

private func bits(_ value: Double) -> Int64 { Int64(bitPattern: value.bitPattern) }
private func roundedToBF16(_ value: Double) -> Double { Double(BFloat16(Float(value)).float) }
private func roundedToF16(_ value: Double) -> Double { Double(Half(Float(value)).float) }

/// The quotient towards minus infinity; 0 by 0.
private func floorQuotient(_ a: Int64, _ b: Int64) -> Int64 {
  guard b != 0 else { return 0 }
  let (quotient, overflow) = a.dividedReportingOverflow(by: b)
  if overflow { return a }
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient
}

/// The remainder that belongs to `floorQuotient`; 0 by 0.
private func floorRemainder(_ a: Int64, _ b: Int64) -> Int64 {
  guard b != 0, b != -1 else { return 0 }
  let remainder = a % b
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
}

/// Truncated towards zero; the nearest integer there is beyond the range, 0 for NaN.
private func saturated<Integer: FixedWidthInteger>(_ value: Double, as type: Integer.Type) -> Integer {
  if value.isNaN { return 0 }
  if let exact = Integer(exactly: value.rounded(.towardZero)) { return exact }
  return value < 0 ? .min : .max
}
