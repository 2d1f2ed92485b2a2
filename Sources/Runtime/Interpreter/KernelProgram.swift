import IR

/// A kernel made ready for interpretation: variables are register numbers, positions are sums, blocks are jumps.
final class KernelProgram {
  let name: String
  let buffers: [Kernel.Buffer]
  private(set) var instructions: [KernelInstruction] = []
  private(set) var terms: [(coefficient: Int, register: Int32)] = []
  private(set) var products: [(product: Product, depth: Int32)] = []
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
    var room = physicalMemory() / MemoryLayout<Int64>.size
    for buffer in buffers {
      guard buffer.count >= 0, buffer.count <= room else {
        throw wrong("there is no memory for buffer \(buffer.name) of \(buffer.count) elements")
      }
      room -= buffer.count
    }
    for stage in kernel.body {
      guard case .loop(let loop) = stage, loop.kind == .parallel else { throw wrong("a stage is no parallel loop") }
      try add(loop)
    }
    emit(.end)
  }

  func wrong(_ message: String) -> Diagnostic { Diagnostic("kernel @\(name): \(message)") }

  func register() -> Int32 {
    registers.append(0)
    return Int32(registers.count - 1)
  }

  func constant(_ bits: Int64) -> Int32 {
    if let known = constants[bits] { return known }
    let new = register()
    registers[Int(new)] = bits
    constants[bits] = new
    return new
  }

  @discardableResult
  func emit(
    _ code: KernelInstruction.Code, _ a: Int32 = 0, _ b: Int32 = 0, _ c: Int32 = 0, _ d: Int32 = 0, immediate: Int = 0
  ) -> Int {
    instructions.append(KernelInstruction(code: code, a: a, b: b, c: c, d: d, immediate: immediate))
    return instructions.count - 1
  }

  /// Emits an instruction that writes a new register.
  func compute(_ code: KernelInstruction.Code, _ b: Int32, _ c: Int32 = 0, _ d: Int32 = 0) -> Int32 {
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
    products.append((product, depth: try add(product.depthLimit ?? Position(product.k))))
    emit(
      .product, Int32(products.count - 1), try add(product.a.offset), try add(product.b.offset),
      try add(product.c.offset), immediate: Int(rows))
  }

  func buffer(_ id: BufferID) throws(Diagnostic) -> Kernel.Buffer {
    guard buffers.indices.contains(id.index) else { throw wrong("has no buffer number \(id.index)") }
    if buffers[id.index].role == .local { locals.insert(id.index) }
    return buffers[id.index]
  }

  func register(of variable: Variable) throws(Diagnostic) -> Int32 {
    guard let register = variables[variable] else { throw wrong("uses variable \(variable.id) before it is defined") }
    return register
  }

  // MARK: Positions

  func add(_ position: Position) throws(Diagnostic) -> Int32 {
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
}
