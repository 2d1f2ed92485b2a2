#if LLVM
internal import CLLVM
import IR

/// Stores that go past the caches. An ordinary store first reads the line it changes; for an output much of which will
/// have left the caches before anyone reads it, that is a third of the memory traffic of a copy.
extension StageEmitter {
  /// Writes `body` twice and chooses when it runs: with stores of `candidates` past the caches where the memory is aligned for
  /// them and is not an input's memory, whose lines are in the caches anyway; with ordinary stores otherwise.
  func eitherWay(_ candidates: [BufferID], _ body: () throws(Diagnostic) -> Void) throws(Diagnostic) {
    var suits = code.integer(1, code.i1)
    for id in candidates {
      let address = code.address(base(id))
      let low = code.and(address, code.integer(63))
      suits = code.and(suits, code.compare(low, LLVMIntEQ, code.integer(0)))
      for (index, buffer) in kernel.buffers.enumerated() where buffer.role == .input && buffer.bytes >= kernel.buffers[id.index].bytes {
        suits = code.and(suits, code.compare(address, LLVMIntNE, code.address(base(BufferID(index)))))
      }
    }
    let (past, ordinary, done) = (code.block("past"), code.block("ordinary"), code.block("done"))
    code.branch(if: suits, to: past, else: ordinary)
    code.move(to: past)
    streamed = Set(candidates)
    try body()
    // These stores have an order of their own; whoever is told that the stage has ended must find them done.
    _ = code.call("llvm.x86.sse.sfence", overloads: [], [])
    code.branch(to: done)
    code.move(to: ordinary)
    streamed = []
    try body()
    code.branch(to: done)
    code.move(to: done)
  }

  /// Whether each vector of the loop begins at a multiple of its own size, given that the buffer does.
  func isAligned(_ position: Position, _ dtype: DType) -> Bool {
    guard let vector, [32, 64].contains(vector.width * dtype.size) else { return false }
    guard position.constant.isMultiple(of: vector.width) else { return false }
    return position.terms.allSatisfy { $0.atom == .loop(vector.loop) || $0.coefficient.isMultiple(of: vector.width) }
  }
}

/// The outputs of a kernel that may be written past the caches: large ones that it does not read.
struct StreamedOutputs {
  private(set) var buffers: [BufferID] = []
  private var isRead: Set<BufferID> = []
  private var isWritten: Set<BufferID> = []

  init(of kernel: Kernel, in stage: Loop, _ target: CPUTarget) {
    guard let least = target.streamingBytes else { return }
    let large = kernel.buffers.indices.filter { kernel.buffers[$0].role == .output && kernel.buffers[$0].bytes >= least }
    if large.isEmpty { return }
    visit(stage.body, inVector: false)
    let written = isWritten
    visit(kernel.body, inVector: false)
    buffers = large.map { BufferID($0) }.filter { written.contains($0) && !isRead.contains($0) }
  }

  private mutating func visit(_ body: [Statement], inVector: Bool) {
    for statement in body {
      switch statement {
      case .define(_, let scalar), .accumulate(_, _, let scalar): visit(scalar)
      case .accumulator: break
      case .store(let buffer, _, let scalar):
        if inVector { isWritten.insert(buffer) }
        visit(scalar)
      case .loop(let loop):
        if case .vector = loop.kind { visit(loop.body, inVector: true) } else { visit(loop.body, inVector: inVector) }
      case .conditional(let condition, let body):
        visit(condition)
        visit(body, inVector: inVector)
      case .product(let product): isRead.formUnion([product.a.buffer, product.b.buffer, product.c.buffer])
      }
    }
  }

  private mutating func visit(_ scalar: Scalar) {
    if case .load(let buffer, _, _, _) = scalar { isRead.insert(buffer) }
    scalar.forEachPart { visit($0) }
  }
}
#endif
