import IR

/// A kernel made ready for interpretation: variables are register numbers, positions are sums, blocks are jumps.
final class KernelProgram {
  let name: String
  let buffers: [Kernel.Buffer]
  private(set) var instructions: [KernelInstruction] = []
  private(set) var terms: [(coefficient: Int, register: Int32)] = []
  private(set) var products: [Product] = []
  /// The local buffers that each stage uses.
  private(set) var stageLocals: [[Int]] = []
  /// What the registers hold at the start: constants, and zeros.
  private(set) var registers: [Int64] = []

  private var constants: [Int64: Int32] = [:]
  private var variables: [Variable: Int32] = [:]
  private var loops: [LoopVariable: Int32] = [:]
  private var locals: Set<Int> = []

  init(_ kernel: Kernel) throws(Diagnostic) {
    name = kernel.name
    buffers = kernel.buffers
    for buffer in buffers where buffer.count < 0 {
      throw wrong("buffer \(buffer.name) has \(buffer.count) elements")
    }
    for stage in kernel.body {
      guard case .loop(let loop) = stage, loop.kind == .parallel else { throw wrong("a stage is no parallel loop") }
      try add(loop)
    }
    emit(.end)
  }

  func wrong(_ message: String) -> Diagnostic { Diagnostic("kernel @\(name): \(message)") }

  private func register() -> Int32 {
    registers.append(0)
    return Int32(registers.count - 1)
  }

  private func constant(_ bits: Int64) -> Int32 {
    if let known = constants[bits] { return known }
    let new = register()
    registers[Int(new)] = bits
    constants[bits] = new
    return new
  }

  @discardableResult
  private func emit(
    _ code: KernelInstruction.Code, _ a: Int32 = 0, _ b: Int32 = 0, _ c: Int32 = 0, _ d: Int32 = 0, immediate: Int = 0
  ) -> Int {
    instructions.append(KernelInstruction(code: code, a: a, b: b, c: c, d: d, immediate: immediate))
    return instructions.count - 1
  }

  /// Emits an instruction that writes a new register.
  private func compute(_ code: KernelInstruction.Code, _ b: Int32, _ c: Int32 = 0, _ d: Int32 = 0) -> Int32 {
    let result = register()
    emit(code, result, b, c, d)
    return result
  }

  // MARK: Statements

  private func add(_ block: [Statement]) throws(Diagnostic) {
    let outer = variables
    for statement in block { try add(statement) }
    variables = outer
  }

  private func add(_ statement: Statement) throws(Diagnostic) {
    switch statement {
    case .define(let variable, let value):
      let value = try add(value, as: variable.type)
      let target = register()
      emit(.move, target, value)
      variables[variable] = target
    case .accumulator(let variable, let reduction):
      let start = try add(reduction.identity(variable.type), as: variable.type)
      let target = register()
      emit(.move, target, start)
      variables[variable] = target
    case .accumulate(let variable, let reduction, let value):
      let target = try register(of: variable)
      let value = try add(reduction.combine(.variable(variable), value), as: variable.type)
      emit(.move, target, value)
    case .store(let buffer, let position, let value):
      let target = try self.buffer(buffer)
      guard target.role != .input else { throw wrong("stores to its input \(target.name)") }
      let value = try add(value, as: ScalarType(target.dtype))
      let code: KernelInstruction.Code =
        switch target.dtype {
        case .f32, .i32, .i64, .bool: .store
        case .bf16: .storeBF16
        case .f16: .storeF16
        case .u8: .storeU8
        }
      emit(code, Int32(buffer.index), try add(position), value)
    case .loop(let loop):
      guard loop.kind != .parallel else { throw wrong("a parallel loop stands inside another statement") }
      try add(loop)
    case .conditional(let condition, let body):
      let jump = emit(.jumpUnless, try add(condition, as: .bool))
      try add(body)
      instructions[jump].d = Int32(instructions.count)
    case .product(let product): try add(product)
    }
  }

  private func add(_ loop: Loop) throws(Diagnostic) {
    let counter = register()
    let end = register()
    emit(.move, end, try add(loop.limit ?? Position(loop.variable.extent)))
    let begin = emit(.loopBegin, counter, end, immediate: loop.variable.extent)
    let outer = loops.updateValue(counter, forKey: loop.variable)
    if loop.kind == .parallel {
      emit(.forget, Int32(stageLocals.count))
      locals = []
    }
    try add(loop.body)
    if loop.kind == .parallel { stageLocals.append(locals.sorted()) }
    emit(.loopEnd, counter, end, 0, Int32(begin + 1))
    instructions[begin].d = Int32(instructions.count)
    loops[loop.variable] = outer
  }

  private func add(_ product: Product) throws(Diagnostic) {
    for matrix in [product.a, product.b, product.c] {
      let buffer = try buffer(matrix.buffer)
      guard buffer.dtype.isFloat else { throw wrong("a product of \(buffer.dtype.rawValue) \(buffer.name)") }
    }
    guard buffers[product.c.buffer.index].role != .input else { throw wrong("a product goes to an input") }
    guard product.m >= 0, product.n >= 0, product.k >= 0 else { throw wrong("a product has negative extents") }
    let rows = try add(product.rowLimit ?? Position(product.m))
    products.append(product)
    emit(
      .product, Int32(products.count - 1), try add(product.a.offset), try add(product.b.offset),
      try add(product.c.offset), immediate: Int(rows))
  }

  private func buffer(_ id: BufferID) throws(Diagnostic) -> Kernel.Buffer {
    guard buffers.indices.contains(id.index) else { throw wrong("has no buffer number \(id.index)") }
    if buffers[id.index].role == .local { locals.insert(id.index) }
    return buffers[id.index]
  }

  private func register(of variable: Variable) throws(Diagnostic) -> Int32 {
    guard let register = variables[variable] else { throw wrong("uses variable \(variable.id) before it is defined") }
    return register
  }

  // MARK: Positions

  private func add(_ position: Position) throws(Diagnostic) -> Int32 {
    if let constant = position.asConstant { return self.constant(Int64(constant)) }
    var sum: [(coefficient: Int, register: Int32)] = []
    for term in position.terms { sum.append((term.coefficient, try add(term.atom))) }
    if position.constant == 0, sum.count == 1, sum[0].coefficient == 1 { return sum[0].register }
    let start = Int32(terms.count)
    terms += sum
    let result = register()
    emit(.affine, result, start, Int32(terms.count), immediate: position.constant)
    return result
  }

  private func add(_ atom: Position.Atom) throws(Diagnostic) -> Int32 {
    switch atom {
    case .loop(let loop):
      guard let register = loops[loop] else { throw wrong("uses counter \(loop.id) outside its loop") }
      return register
    case .variable(let variable):
      guard variable.type == .i32 || variable.type == .i64 else {
        throw wrong("a position reads variable \(variable.id), which is \(variable.type.rawValue)")
      }
      return try register(of: variable)
    case .quotient(let inner, let by):
      let value = try add(inner)
      let result = register()
      emit(.quotient, result, value, immediate: by)
      return result
    case .remainder(let inner, let by):
      let value = try add(inner)
      let result = register()
      emit(.modulo, result, value, immediate: by)
      return result
    }
  }

  // MARK: Expressions

  private func add(_ scalar: Scalar, as type: ScalarType) throws(Diagnostic) -> Int32 {
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
