#if LLVM
internal import CLLVM
import IR

/// The value of an expression while code is written: one scalar, or one vector for each copy of an unrolled vector loop.
enum Lanes {
  case uniform(LLVMValueRef)
  case varying([LLVMValueRef])
}

/// The vector loop whose body is being written.
struct VectorScope {
  let loop: LoopVariable
  let width: Int
  let copies: Int
  /// The loop's counter in the first lane of the first copy.
  let index: LLVMValueRef
  /// Lanes that take part, for each copy; all of them where absent.
  var mask: [LLVMValueRef?]
  /// Whether it may be that no lane takes part.
  var mayBeEmpty = false
}

/// Where an accumulator lives: `slots` has one scalar, or one vector for each copy of the vector loop.
struct Accumulator {
  let slots: [LLVMValueRef]
  let type: LLVMTypeRef
  let isVector: Bool
  /// The lanes that took part where it was declared: what the others hold is never read.
  let mask: [LLVMValueRef?]
}

/// Writes one stage of a kernel as a function `(buffers, begin, end, scratch)` that does the iterations begin ..< end of
/// the stage's parallel loop.
///
/// It decides nothing about what is parallel or a vector: that stands in the kernel. It does choose instructions: how
/// elements that do not lie side by side are gathered, and how the last few lanes are masked.
final class StageEmitter {
  let code: CodeBuilder
  let kernel: Kernel
  let target: CPUTarget
  let places: LocalPlaces
  let table: LLVMValueRef
  let scratch: LLVMValueRef

  var bases: [BufferID: LLVMValueRef] = [:]
  var loops: [LoopVariable: LLVMValueRef] = [:]
  var values: [Variable: Lanes] = [:]
  var accumulators: [Variable: Accumulator] = [:]
  var vector: VectorScope?
  /// Outputs whose whole vectors are written past the caches.
  var streamed: Set<BufferID> = []
  private var zeros: LLVMValueRef?

  init(_ name: String, _ stage: Loop, of kernel: Kernel, places: LocalPlaces, target: CPUTarget, in code: CodeBuilder) throws(Diagnostic) {
    self.code = code
    self.kernel = kernel
    self.target = target
    self.places = places
    let parameters = code.begin(function: name, [code.pointer, code.i64, code.i64, code.pointer])
    table = parameters[0]
    scratch = parameters[3]
    var end = parameters[2]
    if let limit = stage.limit { end = minimum(end, uniform(limit)) }
    let candidates = StreamedOutputs(of: kernel, in: stage, target).buffers
    if candidates.isEmpty {
      try iterations(of: stage, from: parameters[1], to: end)
    } else {
      try eitherWay(candidates) { () throws(Diagnostic) in
        try self.iterations(of: stage, from: parameters[1], to: end)
      }
    }
    code.end()
  }

  private func iterations(of stage: Loop, from start: LLVMValueRef, to end: LLVMValueRef) throws(Diagnostic) {
    try counted(from: start, to: end, by: 1, runs: nil) { (index) throws(Diagnostic) in
      self.loops[stage.variable] = index
      try self.emit(stage.body)
    }
  }

  func unsupported(_ what: String) -> Diagnostic { Diagnostic("kernel '\(kernel.name)' \(what)") }

  /// The address of a buffer's first element.
  func base(_ id: BufferID) -> LLVMValueRef {
    if let base = bases[id] { return base }
    let base: LLVMValueRef
    switch places.place(of: id) {
    case .argument(let number): base = code.entry(number, of: table)
    case .scratch(let offset): base = code.entryOffset(scratch, offset)
    case .frame:
      let buffer = kernel.buffers[id.index]
      let count = LocalPlaces.spacedBytes(of: buffer) / buffer.dtype.size
      base = code.bytes(code.slot(code.array(memoryType(buffer.dtype), max(1, count)), align: 64))
    }
    bases[id] = base
    return base
  }

  /// Eight bytes of zero, read in place of elements whose guard is false.
  func zeroPlace() -> LLVMValueRef {
    if let zeros { return zeros }
    let place = code.zeroPlace()
    zeros = place
    return place
  }

  /// Runs `body` and forgets what it named.
  func scoped(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) {
    let (values, loops, vector, accumulators) = (values, loops, vector, accumulators)
    try body()
    (self.values, self.loops, self.vector, self.accumulators) = (values, loops, vector, accumulators)
  }

  // MARK: lanes

  /// `body` of the parts, once if all are uniform and once for each copy otherwise.
  func map(_ parts: Lanes..., body: ([LLVMValueRef]) -> LLVMValueRef) -> Lanes {
    var copies: Int?
    for case .varying(let vectors) in parts { copies = vectors.count }
    guard let copies else {
      return .uniform(body(parts.map { part in
        guard case .uniform(let value) = part else { preconditionFailure("no part varies") }
        return value
      }))
    }
    let all = parts.map { spread($0, copies: copies) }
    return .varying((0..<copies).map { copy in body(all.map { $0[copy] }) })
  }

  /// One vector for each copy.
  func spread(_ lanes: Lanes, copies: Int) -> [LLVMValueRef] {
    switch lanes {
    case .varying(let vectors): return vectors
    case .uniform(let value):
      guard let vector else { preconditionFailure("a value varies only inside a vector loop") }
      return Array(repeating: code.splat(value, vector.width), count: copies)
    }
  }

  func value(of variable: Variable) throws(Diagnostic) -> Lanes {
    if let value = values[variable] { return value }
    guard let accumulator = accumulators[variable] else { throw unsupported("reads variable \(variable.id) before it is defined") }
    let read = accumulator.slots.map { code.read($0, accumulator.type) }
    return accumulator.isVector ? .varying(read) : .uniform(read[0])
  }

  func computeType(_ type: ScalarType) -> LLVMTypeRef {
    switch type {
    case .f32: code.f32
    case .i32: code.i32
    case .i64: code.i64
    case .bool: code.i1
    }
  }

  func minimum(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef {
    code.select(code.compare(a, LLVMIntSLT, b), a, b)
  }
}
#endif
