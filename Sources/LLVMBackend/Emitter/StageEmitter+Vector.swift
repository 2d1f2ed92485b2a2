#if LLVM
internal import CLLVM
import IR

/// Vector loops: a main part of `copies` vectors an iteration, then what is left, its last vector with some lanes masked.
extension StageEmitter {
  func emit(_ loop: Loop, lanes: Int, unroll: Int) throws(Diagnostic) {
    let extent = loop.variable.extent
    let width = width(extent, lanes)
    let fed = Fed(by: loop.body).accumulators
    let most = max(1, min(unroll, (extent + width - 1) / width, 16))
    let copies = Pressure(of: loop, fed: fed.count).copies(atMost: most, registers: target.registers)
    let outer = accumulators
    let start = VectorScope(loop: loop.variable, width: width, copies: copies, index: code.integer(0), mask: Array(repeating: nil, count: copies))
    for (variable, reduction) in fed {
      guard outer[variable] != nil else { throw unsupported("feeds accumulator \(variable.id) outside its block") }
      accumulators[variable] = try accumulator(variable, reduction, vector: start)
    }

    if loop.limit == nil {
      let whole = extent / (width * copies) * (width * copies)
      if whole > 0 { try pieces(loop, width, copies, to: whole) }
      let left = extent - whole
      if left > 0 { try piece(loop, width, masks(left, width), at: code.integer(Int64(whole))) }
    } else {
      try limited(loop, width, copies)
    }

    let partial = accumulators
    accumulators = outer
    for (variable, reduction) in fed {
      guard let lanes = partial[variable], let whole = outer[variable] else { continue }
      let sum = across(reduction, lanes.slots.map { code.read($0, lanes.type) }, variable.type)
      let old = code.read(whole.slots[0], whole.type)
      code.write(combine(reduction, old, sum, variable.type), to: whole.slots[0])
    }
  }

  /// The largest power of two that the extent fills, or the next one where masks cost nothing.
  private func width(_ extent: Int, _ lanes: Int) -> Int {
    var width = 1
    while width * 2 <= min(lanes, extent) { width *= 2 }
    let fitsOnce = width < extent && extent < lanes && width * 2 <= lanes
    return fitsOnce && target.hasMaskedMemory ? width * 2 : width
  }

  /// For each vector that `left` lanes need, the lanes that take part.
  private func masks(_ left: Int, _ width: Int) -> [LLVMValueRef?] {
    stride(from: 0, to: left, by: width).map { start in
      if left - start >= width { return nil }
      return code.constants((0..<width).map { code.integer(start + $0 < left ? 1 : 0, code.i1) })
    }
  }

  private func pieces(_ loop: Loop, _ width: Int, _ copies: Int, to end: Int) throws(Diagnostic) {
    let all = [LLVMValueRef?](repeating: nil, count: copies)
    if end == width * copies {
      try piece(loop, width, all, at: code.integer(0))
      return
    }
    let last = code.integer(Int64(end))
    try counted(from: code.integer(0), to: last, by: width * copies, runs: true) { (index) throws(Diagnostic) in
      try self.piece(loop, width, all, at: index)
    }
  }

  /// The loop up to a limit that is known only when it runs.
  private func limited(_ loop: Loop, _ width: Int, _ copies: Int) throws(Diagnostic) {
    let none = code.integer(0)
    let count = try iterations(loop)
    let isNegative = code.compare(count, LLVMIntSLT, none)
    let end = code.select(isNegative, none, count)
    var done = none
    if copies > 1 {
      done = code.subtract(end, code.remainderUnsigned(end, code.integer(Int64(width * copies))))
      try counted(from: none, to: done, by: width * copies, runs: nil) { (index) throws(Diagnostic) in
        try self.piece(loop, width, Array(repeating: nil, count: copies), at: index)
      }
    }
    let vectors = code.and(end, code.integer(Int64(-width)))
    try counted(from: done, to: vectors, by: width, runs: nil) { (index) throws(Diagnostic) in
      try self.piece(loop, width, [nil], at: index)
    }
    try counted(from: vectors, to: end, by: width, runs: nil) { (index) throws(Diagnostic) in
      let left = self.code.splat(self.code.subtract(end, index), width)
      let mask = self.code.compare(self.code.ramp(self.code.i64, width), LLVMIntSLT, left)
      try self.piece(loop, width, [mask], at: index)
    }
  }

  private func piece(_ loop: Loop, _ width: Int, _ masks: [LLVMValueRef?], at index: LLVMValueRef) throws(Diagnostic) {
    try scoped { () throws(Diagnostic) in
      self.vector = VectorScope(loop: loop.variable, width: width, copies: masks.count, index: index, mask: masks)
      try self.emit(loop.body)
    }
  }

  /// One value of all lanes of all copies, combined in a fixed tree: copies pairwise, then halves of the vector.
  private func across(_ reduction: Reduction, _ vectors: [LLVMValueRef], _ type: ScalarType) -> LLVMValueRef {
    var level = vectors
    while level.count > 1 {
      level = stride(from: 0, to: level.count, by: 2).map { i in
        i + 1 < level.count ? combine(reduction, level[i], level[i + 1], type) : level[i]
      }
    }
    var vector = level[0]
    while let lanes = code.lanes(vector), lanes > 1 {
      let half = lanes / 2
      let (low, high) = (code.shuffle(vector, Array(0..<half)), code.shuffle(vector, Array(half..<lanes)))
      vector = combine(reduction, low, high, type)
    }
    return code.element(vector, 0)
  }
}

/// The accumulators that statements feed and do not declare, in the order of their first use.
struct Fed {
  private(set) var accumulators: [(Variable, Reduction)] = []
  private var declared: Set<Variable> = []

  init(by body: [Statement]) { visit(body) }

  private mutating func visit(_ body: [Statement]) {
    for statement in body {
      switch statement {
      case .accumulator(let variable, _): declared.insert(variable)
      case .accumulate(let variable, let reduction, _):
        if declared.insert(variable).inserted { accumulators.append((variable, reduction)) }
      case .loop(let loop): visit(loop.body)
      case .conditional(_, let body): visit(body)
      case .define, .store, .product: break
      }
    }
  }
}
#endif
