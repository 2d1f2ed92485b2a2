#if LLVM
internal import CLLVM
import IR

/// Statements and loops that are not vectors.
extension StageEmitter {
  func emit(_ body: [Statement]) throws(Diagnostic) {
    try scoped { () throws(Diagnostic) in
      for statement in body { try self.emit(statement) }
    }
  }

  private func emit(_ statement: Statement) throws(Diagnostic) {
    switch statement {
    case .define(let variable, let scalar): values[variable] = try emit(scalar)
    case .accumulator(let variable, let reduction): try declare(variable, reduction)
    case .accumulate(let variable, let reduction, let scalar): try accumulate(variable, reduction, scalar)
    case .store(let buffer, let position, let scalar): try store(buffer, position, scalar)
    case .loop(let loop): try emit(loop)
    case .conditional(let condition, let body): try conditional(condition, body)
    case .product(let product): try emit(product)
    }
  }

  private func emit(_ loop: Loop) throws(Diagnostic) {
    switch loop.kind {
    case .parallel: throw unsupported("has a parallel loop inside another loop")
    case .serial: try serial(loop)
    case .vector(let width, let unroll):
      guard vector == nil else { throw unsupported("has a vector loop inside another") }
      let lanes = min(width, target.lanes)
      if lanes <= 1 || loop.variable.extent <= 1 { try serial(loop) } else { try emit(loop, lanes: lanes, unroll: unroll) }
    }
  }

  /// The number of iterations: a constant where the loop has no limit of its own.
  func iterations(_ loop: Loop) throws(Diagnostic) -> LLVMValueRef {
    let extent = code.integer(Int64(loop.variable.extent))
    guard let limit = loop.limit else { return extent }
    guard case .uniform = motion(of: limit) else { throw unsupported("limits a loop by a number that varies over lanes") }
    return minimum(extent, uniform(limit))
  }

  private func serial(_ loop: Loop) throws(Diagnostic) {
    let extent = loop.variable.extent
    let copies = vector?.copies ?? 1
    if loop.limit == nil, extent <= 1 || extent <= 16 && Work.size(of: loop.body) * extent * copies <= 192 {
      for i in 0..<extent {
        loops[loop.variable] = code.integer(Int64(i))
        try emit(loop.body)
      }
      return
    }
    let end = try iterations(loop)
    try counted(from: code.integer(0), to: end, by: 1, runs: loop.limit == nil) { (index) throws(Diagnostic) in
      self.loops[loop.variable] = index
      try self.emit(loop.body)
    }
  }

  /// A loop of `index` from `start` in steps of `step`; `runs` tells that there is an iteration at least.
  func counted(
    from start: LLVMValueRef, to end: LLVMValueRef, by step: Int, runs: Bool?,
    _ body: (LLVMValueRef) throws(Diagnostic) -> Void
  ) throws(Diagnostic) {
    let (loop, done) = (code.block("loop"), code.block("done"))
    let before = code.currentBlock
    if runs == true {
      code.branch(to: loop)
    } else {
      code.branch(if: code.compare(start, LLVMIntSLT, end), to: loop, else: done)
    }
    code.move(to: loop)
    let index = code.phi(code.i64)
    code.add(start, from: before, to: index)
    try scoped { () throws(Diagnostic) in try body(index) }
    let next = code.add(index, code.integer(Int64(step)))
    let last = code.currentBlock
    code.add(next, from: last, to: index)
    code.branch(if: code.compare(next, LLVMIntSLT, end), to: loop, else: done)
    code.move(to: done)
  }

  private func conditional(_ condition: Scalar, _ body: [Statement]) throws(Diagnostic) {
    switch try emit(condition) {
    case .uniform(let value):
      let (yes, done) = (code.block("then"), code.block("done"))
      code.branch(if: value, to: yes, else: done)
      code.move(to: yes)
      try emit(body)
      code.branch(to: done)
      code.move(to: done)
    case .varying(let conditions):
      guard var inner = vector else { preconditionFailure("conditions vary only inside vector loops") }
      inner.mask = zip(conditions, inner.mask).map { condition, mask in mask.map { code.and($0, condition) } ?? condition }
      inner.mayBeEmpty = true
      try scoped { () throws(Diagnostic) in
        self.vector = inner
        try self.emit(body)
      }
    }
  }

  // MARK: accumulators

  private func declare(_ variable: Variable, _ reduction: Reduction) throws(Diagnostic) {
    accumulators[variable] = try accumulator(variable, reduction, vector: vector)
  }

  /// A new accumulator that holds the reduction's identity.
  func accumulator(_ variable: Variable, _ reduction: Reduction, vector: VectorScope?) throws(Diagnostic) -> Accumulator {
    let type = code.vector(computeType(variable.type), vector?.width)
    let slots = (0..<(vector?.copies ?? 1)).map { _ in code.slot(type) }
    guard case .uniform(let identity) = try emit(reduction.identity(variable.type)) else {
      preconditionFailure("the identity of a reduction is a constant")
    }
    let start = vector.map { code.splat(identity, $0.width) } ?? identity
    for slot in slots { code.write(start, to: slot) }
    return Accumulator(slots: slots, type: type, isVector: vector != nil, mask: vector?.mask ?? [])
  }

  private func accumulate(_ variable: Variable, _ reduction: Reduction, _ scalar: Scalar) throws(Diagnostic) {
    guard let accumulator = accumulators[variable] else { throw unsupported("feeds accumulator \(variable.id) outside its block") }
    let old: Lanes
    let read = accumulator.slots.prefix(vector?.copies ?? 1).map { code.read($0, accumulator.type) }
    old = accumulator.isVector ? .varying(read) : .uniform(read[0])
    let new: Lanes
    if case .binary(.multiply, let x, let y) = scalar, reduction == .sum, variable.type == .f32, target.fuses {
      new = map(try emit(x), try emit(y), old) { self.fused($0[0], $0[1], $0[2]) }
    } else {
      new = map(old, try emit(scalar)) { self.combine(reduction, $0[0], $0[1], variable.type) }
    }
    switch new {
    case .uniform(let value): code.write(value, to: accumulator.slots[0])
    case .varying(let vectors):
      guard accumulator.isVector else { throw unsupported("feeds lanes to an accumulator that is declared in a scalar block of the loop") }
      for (copy, value) in vectors.enumerated() {
        guard let mask = vector?.mask[copy], mask != accumulator.mask[copy] else {
          code.write(value, to: accumulator.slots[copy])
          continue
        }
        code.write(code.select(mask, value, read[copy]), to: accumulator.slots[copy])
      }
    }
  }

  /// Two partial results of a reduction as one.
  func combine(_ reduction: Reduction, _ a: LLVMValueRef, _ b: LLVMValueRef, _ type: ScalarType) -> LLVMValueRef {
    switch reduction {
    case .sum: combine(.add, a, b, type)
    case .maximum: combine(BinaryFunction.maximum, a, b, type)
    case .minimum: combine(BinaryFunction.minimum, a, b, type)
    case .any: combine(.or, a, b, type)
    case .all: combine(.and, a, b, type)
    }
  }
}
#endif
