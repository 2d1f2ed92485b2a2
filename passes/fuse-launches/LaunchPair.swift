import IR
import Ops

/// Two kernels of one stage each, of which the second reads what the first writes, as one.
///
/// A row of the new kernel is the smaller number of rows; the kernel with more of them does its part in a serial loop. What
/// passes from one to the other stays in locals, if every element that a row of the second reads is written by the same
/// row of the first.
struct LaunchPair {
  private let first, second: Kernel
  /// Buffers of the second kernel and the outputs of the first that they are.
  private let passed: [BufferID: BufferID]
  /// Outputs of the first kernel that somebody else reads, too.
  private let kept: Set<BufferID>
  private let (firstStage, secondStage): (Loop, Loop)
  private let rows: Int

  /// Bytes of locals that a row may take: more is no cache, nor what a GPU's multiprocessor has for several rows. Who reads
  /// rows of a table at places it computes waits for memory most of the time, and wants many rows next to each other.
  private static let mostLocalBytes = 32 << 10
  private static let mostLocalBytesOfLookups = 2 << 10
  /// Fewer rows would leave processors idle, unless both kernels have them.
  private static let leastRows = 1024

  /// - Parameters:
  ///   - passed: inputs of the second kernel, each with the output of the first that it is.
  ///   - kept: outputs of the first kernel that are read elsewhere.
  init?(_ first: Kernel, _ second: Kernel, passed: [BufferID: BufferID], kept: Set<BufferID>) {
    guard let a = first.onlyStage, let b = second.onlyStage else { return nil }
    let (more, fewer) = (max(a.variable.extent, b.variable.extent), min(a.variable.extent, b.variable.extent))
    guard fewer > 0, more.isMultiple(of: fewer), more == fewer || fewer >= Self.leastRows else { return nil }
    (self.first, self.second, self.passed, self.kept) = (first, second, passed, kept)
    (firstStage, secondStage, rows) = (a, b, fewer)
  }

  /// The kernel; `nil` if rows of the second read what other rows of the first write, or locals would be too large.
  ///
  /// Its buffers are the inputs of the first, those of the second that are not passed, the outputs of the first that are
  /// kept, those of the second, and locals.
  func kernel(named name: String) -> Kernel? {
    var buffers: [Kernel.Buffer] = []
    var (ofFirst, ofSecond): ([Int: BufferID], [Int: BufferID]) = ([:], [:])
    func take(
      _ kernel: Kernel, _ role: Kernel.Role, _ map: inout [Int: BufferID],
      where isTaken: (BufferID) -> Bool = { _ in true }
    ) {
      for (number, buffer) in kernel.buffers.enumerated() where buffer.role == role && isTaken(BufferID(number)) {
        map[number] = BufferID(buffers.count)
        var buffer = buffer
        buffer.name = "\(role == .input ? "i" : role == .output ? "o" : "l")\(buffers.count)"
        buffers.append(buffer)
      }
    }
    take(first, .input, &ofFirst)
    take(second, .input, &ofSecond) { passed[$0] == nil }
    take(first, .output, &ofFirst) { kept.contains($0) }
    take(second, .output, &ofSecond)
    take(first, .local, &ofFirst)
    take(second, .local, &ofSecond)

    // What is passed, and how much of it a row has.
    var locals: [Int: (buffer: BufferID, length: Int)] = [:]
    for output in Set(passed.values).sorted(by: { $0.index < $1.index }) {
      let whole = first.buffers[output.index]
      guard whole.count.isMultiple(of: rows) else { return nil }
      locals[output.index] = (BufferID(buffers.count), whole.count / rows)
      buffers.append(Kernel.Buffer("l\(buffers.count)", whole.dtype, whole.count / rows, .local))
    }
    let looksUp = first.readsRowsAtComputedPlaces || second.readsRowsAtComputedPlaces
    let localBytes = buffers.filter { $0.role == .local }.reduce(0) { $0 + $1.bytes }
    guard localBytes <= (looksUp ? Self.mostLocalBytesOfLookups : Self.mostLocalBytes) else { return nil }

    let names = (Names(of: first), Names(of: second))
    let row = LoopVariable(names.0.loops + names.1.loops, below: rows)
    var isFine = true
    var limits: [LoopVariable: Position] = [:]
    /// A place within what a row has of a passed buffer.
    func within(_ output: BufferID, _ position: Position) -> (BufferID, Position) {
      let local = locals[output.index]!
      let at = position - Position(row) * local.length
      if !at.isWithin(local.length, limits) { isFine = false }
      return (local.buffer, at)
    }
    // What is added up element by element is stored when it is done.
    let gathered = kept.filter { locals[$0.index] != nil && first.reads($0) }
    let partA = Part(
      firstStage, of: rows, row, piece: row.id + 1, loops: 0, variables: 0,
      source: { buffer, position in
        // What it reads again of its own results.
        locals[buffer.index] == nil ? (ofFirst[buffer.index]!, position) : within(buffer, position)
      },
      targets: { buffer, position in
        if gathered.contains(buffer) { return [within(buffer, position)] }
        let whole = ofFirst[buffer.index].map { [($0, position)] } ?? []
        return locals[buffer.index] == nil ? whole : [within(buffer, position)] + whole
      })
    let partB = Part(
      secondStage, of: rows, row, piece: row.id + 2, loops: names.0.loops, variables: names.0.variables,
      source: { buffer, position in
        passed[buffer].map { within($0, position) } ?? (ofSecond[buffer.index]!, position)
      },
      targets: { buffer, position in [(ofSecond[buffer.index]!, position)] })
    limits = partA.limits.merging(partB.limits) { one, _ in one }
    let copies = gathered.sorted { $0.index < $1.index }.enumerated().map { number, output in
      let local = locals[output.index]!
      let lane = LoopVariable(row.id + 3 + number, below: local.length)
      let value = Scalar.load(local.buffer, ScalarType(first.buffers[output.index].dtype), Position(lane), guard: nil)
      let store = Statement.store(ofFirst[output.index]!, Position(row) * local.length + Position(lane), value)
      return Statement.loop(Loop(lane, .lanes(below: local.length), [store]))
    }
    let body = partA.body + copies + partB.body
    return isFine ? Kernel(name: name, buffers: buffers, body: [.loop(Loop(row, .parallel, body))]) : nil
  }
}

/// What one of the kernels does for a row.
private struct Part {
  private let stage: Loop
  private let pieces: LoopVariable
  private let substitution: Substitution

  init(
    _ stage: Loop, of rows: Int, _ row: LoopVariable, piece: Int, loops: Int, variables: Int,
    source: @escaping (BufferID, Position) -> (BufferID, Position),
    targets: @escaping (BufferID, Position) -> [(BufferID, Position)]
  ) {
    let pieces = LoopVariable(piece, below: stage.variable.extent / rows)
    let own = Position(row) * pieces.extent + Position(pieces)
    (self.stage, self.pieces) = (stage, pieces)
    substitution = Substitution(
      counter: { LoopVariable($0.id + loops, below: $0.extent) },
      loop: { $0 == stage.variable ? own : Position(LoopVariable($0.id + loops, below: $0.extent)) },
      variable: { Variable($0.id + variables, $0.type) }, source: source, targets: targets)
  }

  /// Where loops end earlier than their extents say.
  var limits: [LoopVariable: Position] {
    var limits: [LoopVariable: Position] = [:]
    Kernel(name: "", buffers: [], body: stage.body).forEachStatement { statement in
      guard case .loop(let loop) = statement, let limit = loop.limit else { return }
      limits[substitution.counter(loop.variable)] = substitution.position(limit)
    }
    return limits
  }

  var body: [Statement] {
    let body = substitution.body(stage.body)
    return pieces.extent == 1 ? body : [.loop(Loop(pieces, .serial, body))]
  }
}

extension Position {
  /// Whether it is from 0 up to a length, as far as the extents of loops tell, and where they end earlier, their limits.
  fileprivate func isWithin(_ length: Int, _ limits: [LoopVariable: Position]) -> Bool {
    guard let range, range.lowerBound >= 0 else { return false }
    if range.upperBound < length { return true }
    return limits.contains { loop, limit in
      guard let step = step(along: loop), step > 0 else { return false }
      let last = replacing(loop: { $0 == loop ? limit + -1 : Position($0) })
      return last.range.map { $0.upperBound < length } ?? false
    }
  }
}

extension Kernel {
  /// Its stage, if it has no other, multiplies no matrices, changes no input and needs no workspace.
  fileprivate var onlyStage: Loop? {
    guard body.count == 1, case .loop(let stage) = body[0], stage.kind == .parallel, stage.limit == nil,
      buffers.allSatisfy({ $0.role != .workspace && $0.updates == nil })
    else { return nil }
    var hasProduct = false
    forEachStatement { if case .product = $0 { hasProduct = true } }
    return hasProduct ? nil : stage
  }

  /// Whether the lanes of a loop read neighbours at a place of an input that the kernel computed.
  fileprivate var readsRowsAtComputedPlaces: Bool {
    var found = false
    forEachStatement { statement in
      guard case .loop(let loop) = statement, case .vector = loop.kind else { return }
      found = found || loop.body.contains { inner in
        inner.reads { buffer, position in
          buffers[buffer.index].role == .input && !position.variables.isEmpty && position.step(along: loop.variable) == 1
        }
      }
    }
    return found
  }
}

/// How many numbers the loops and the variables of a kernel take up.
private struct Names {
  var loops = 0
  var variables = 0

  init(of kernel: Kernel) {
    kernel.forEachStatement { statement in
      switch statement {
      case .define(let variable, _), .accumulator(let variable, _), .accumulate(let variable, _, _):
        variables = max(variables, variable.id + 1)
      case .loop(let loop): loops = max(loops, loop.variable.id + 1)
      case .store, .conditional, .product: break
      }
    }
  }
}
