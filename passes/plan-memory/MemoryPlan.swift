import IR
import Ops
import Rewriting

/// Where every value of a lowered function lies in one arena.
///
/// Parameters and results keep their place between runs, so a training state stays where it is; what only lives between
/// two launches shares memory with what lives at other times. A donated parameter and its result are one place if the
/// launch that makes the result reads each old element just where it writes the new one; otherwise the result is copied
/// over the parameter at the end of the run.
public struct MemoryPlan: Sendable {
  public struct Slot: Hashable, Sendable {
    public let offset: Int
    public let bytes: Int

    public init(offset: Int, bytes: Int) { (self.offset, self.bytes) = (offset, bytes) }
  }

  /// One launch: its kernel and the place of each buffer, inputs, outputs, workspaces.
  public struct Step: Sendable {
    public let kernel: String
    public let buffers: [Slot]
    /// What is copied first, from where, to where: an output that changes a part of an input, and could not have its memory.
    public let copies: [(from: Slot, to: Slot)]
    public let location: Location
  }

  public let steps: [Step]
  public let parameters: [Slot]
  public let results: [Slot]
  /// What is copied at the end of a run: from, to.
  public let copies: [(from: Slot, to: Slot)]
  /// Size of the arena in bytes.
  public let bytes: Int
  /// Bytes of values alone, if nothing shared memory.
  public let unsharedBytes: Int

  /// Every place starts at a multiple of this.
  public static let alignment = 64

  public init(_ function: Function, in module: Module) throws(Diagnostic) {
    var storage = Storage(function)
    let kernels = Dictionary(uniqueKeysWithValues: module.kernels.map { ($0.name, $0) })
    storage.shareUpdates(kernels)
    var pending: [(parameter: Int, result: Int)] = []
    for (parameter, result) in function.donations.sorted(by: { $0.key < $1.key }) {
      if !storage.share(parameter, result, kernels) { pending.append((parameter, result)) }
    }
    var intervals = storage.intervals
    // Workspaces live during their launch.
    var workspaces: [Int: [Int]] = [:]
    for (number, operation) in function.operations.enumerated() {
      guard let launch = operation.op as? Launch else {
        guard operation.op is Reshape else {
          throw Diagnostic("'\(operation.op.name)' is not lowered", at: operation.location)
        }
        continue
      }
      guard let kernel = kernels[launch.callee] else {
        throw Diagnostic("'launch' names @\(launch.callee), which does not exist", at: operation.location)
      }
      for buffer in kernel.buffers where buffer.role == .workspace {
        workspaces[number, default: []].append(intervals.count)
        intervals.append(Interval(bytes: buffer.bytes, first: number, last: number))
      }
    }
    let (offsets, total) = try Self.place(intervals)
    func slot(_ value: Value) -> Slot {
      let interval = storage.interval(of: value)
      return Slot(offset: offsets[interval], bytes: function.type(of: value).bytes)
    }
    steps = function.operations.enumerated().compactMap { number, operation in
      guard let launch = operation.op as? Launch else { return nil }
      let own = (workspaces[number] ?? []).map { Slot(offset: offsets[$0], bytes: intervals[$0].bytes) }
      let updates = storage.updates(of: operation, kernels).filter { storage.root($0.old) != storage.root($0.new) }
      return Step(
        kernel: launch.callee, buffers: (operation.operands + operation.results).map(slot) + own,
        copies: updates.map { (slot($0.old), slot($0.new)) }, location: operation.location)
    }
    parameters = function.parameters.map(slot)
    results = function.results.map(slot)
    copies = pending.map { pair in
      (slot(function.results[pair.result]), slot(function.parameters[pair.parameter]))
    }
    bytes = total
    unsharedBytes = intervals.reduce(0) { $0 + $1.bytes }
  }

  /// A piece of memory and the operations between which it is needed.
  struct Interval {
    let bytes: Int
    var first: Int
    var last: Int
  }

  /// Gives each interval an offset: the largest first, each at the lowest place free during its life.
  private static func place(_ intervals: [Interval]) throws(Diagnostic) -> (offsets: [Int], total: Int) {
    var offsets = [Int](repeating: 0, count: intervals.count)
    var placed: [Int] = []
    var total = 0
    let order = intervals.indices.sorted {
      (intervals[$0].bytes, -intervals[$0].first, -$0) > (intervals[$1].bytes, -intervals[$1].first, -$1)
    }
    for index in order where intervals[index].bytes > 0 {
      let interval = intervals[index]
      var at = 0
      // `placed` is kept in the order of offsets.
      for other in placed {
        guard intervals[other].last >= interval.first, intervals[other].first <= interval.last else { continue }
        if offsets[other] >= at + interval.bytes { break }
        let end = offsets[other] + intervals[other].bytes
        at = max(at, (end + alignment - 1) / alignment * alignment)
      }
      let (end, overflow) = at.addingReportingOverflow(interval.bytes)
      guard !overflow, end < 1 << 46 else { throw Diagnostic("the program wants more memory than a machine can have") }
      offsets[index] = at
      total = max(total, end)
      let place = placed.firstIndex { offsets[$0] > at } ?? placed.count
      placed.insert(index, at: place)
    }
    return (offsets, total)
  }
}

/// Which values are one piece of memory.
private struct Storage {
  let function: Function
  private var owner: [Int]
  /// The operation that makes each value.
  private let makers: [Int?]
  /// What launches read, in their order.
  private let reads: [(number: Int, operands: [Value])]

  init(_ function: Function) {
    self.function = function
    makers = function.definitions()
    reads = function.operations.enumerated().compactMap { number, operation in
      operation.match(Launch.self) == nil ? nil : (number, operation.operands)
    }
    owner = Array(0..<function.valueCount)
    for operation in function.operations where operation.op is Reshape {
      owner[operation.results[0].index] = owner[operation.operands[0].index]
    }
  }

  func root(_ value: Value) -> Int {
    var index = value.index
    while owner[index] != index { index = owner[index] }
    return index
  }

  func interval(of value: Value) -> Int { root(value) }

  /// The results of a launch that start as an operand's content, with that operand.
  func updates(of operation: Operation, _ kernels: [String: Kernel]) -> [(old: Value, new: Value)] {
    guard let launch = operation.op as? Launch, let kernel = kernels[launch.callee] else { return [] }
    let outputs = kernel.buffers.filter { $0.role == .output }
    return zip(operation.results, outputs).compactMap { result, buffer in
      buffer.updates.map { (operation.operands[$0.index], result) }
    }
  }

  /// Makes results that change a part of a value take over its memory, where nobody wants the old value any more.
  mutating func shareUpdates(_ kernels: [String: Kernel]) {
    let kept = Set((function.parameters + function.results).map { root($0) })
    for (number, operation) in function.operations.enumerated() {
      for (old, new) in updates(of: operation, kernels) {
        let (from, into) = (root(new), root(old))
        guard from != into, !kept.contains(into), !operation.results.contains(where: { root($0) == into }) else { continue }
        let isReadLater = function.operations[(number + 1)...].contains { later in
          later.operands.contains { root($0) == into }
        }
        guard !isReadLater, canWrite(new, over: into, operation, kernels) else { continue }
        owner[from] = into
      }
    }
  }

  /// Whether the kernel of a launch reads what is in a place only where it then writes the result.
  private func canWrite(_ result: Value, over place: Int, _ operation: Operation, _ kernels: [String: Kernel]) -> Bool {
    guard let launch = operation.op as? Launch, let kernel = kernels[launch.callee],
      let number = operation.results.firstIndex(of: result)
    else { return false }
    let output = BufferID(launch.parameters.count + number)
    return operation.operands.enumerated().allSatisfy { input, operand in
      root(operand) != place || kernel.updatesInPlace(BufferID(input), output)
    }
  }

  /// Makes a result take over a parameter's memory; false if some launch would then read what it must not.
  mutating func share(_ parameter: Int, _ result: Int, _ kernels: [String: Kernel]) -> Bool {
    let (old, new) = (function.parameters[parameter], function.results[result])
    let (from, into) = (root(new), root(old))
    if from == into { return true }
    // A result that is itself a parameter, or the same value for two parameters, is copied.
    guard let maker = makers[from], function.results.count(where: { root($0) == from }) == 1,
      !function.results.contains(where: { root($0) == into })
    else { return false }
    for (number, operands) in reads where number >= maker && operands.contains(where: { root($0) == into }) {
      if number > maker || !canWrite(Value(from), over: into, function.operations[maker], kernels) { return false }
    }
    owner[from] = into
    return true
  }

  var intervals: [MemoryPlan.Interval] {
    var intervals = (0..<function.valueCount).map { index in
      MemoryPlan.Interval(bytes: owner[index] == index ? function.type(of: Value(index)).bytes : 0, first: .max, last: -1)
    }
    func extend(_ value: Value, _ at: Int) {
      let index = root(value)
      intervals[index].first = min(intervals[index].first, at)
      intervals[index].last = max(intervals[index].last, at)
    }
    let end = function.operations.count
    for value in function.parameters + function.results {
      extend(value, -1)
      extend(value, end)
    }
    for (number, operation) in function.operations.enumerated() where !(operation.op is Reshape) {
      for value in operation.operands + operation.results { extend(value, number) }
    }
    return intervals
  }
}

extension Kernel {
  /// Whether an output may lie on an input: every element is read, if at all, at the position where it is then written,
  /// before that, in the same loops.
  func updatesInPlace(_ input: BufferID, _ output: BufferID) -> Bool {
    guard buffers[input.index].count == buffers[output.index].count, buffers[input.index].dtype == buffers[output.index].dtype
    else { return false }
    // What is not read cannot be read too late.
    if buffers[output.index].updates == input, !reads(input) { return true }
    var check = InPlaceCheck(input: input, output: output)
    check.visit(body)
    return check.isFine && check.writingBlocks <= 1
  }
}

private struct InPlaceCheck {
  let input: BufferID
  let output: BufferID
  var isFine = true
  /// Blocks of statements that touch either buffer; more than one could read after another wrote.
  var writingBlocks = 0
  private var positions: Set<Position> = []

  init(input: BufferID, output: BufferID) {
    self.input = input
    self.output = output
  }

  mutating func visit(_ statements: [Statement]) {
    var touches = false
    var written: Set<Position> = []
    for statement in statements where isFine {
      switch statement {
      case .define(_, let value), .accumulate(_, _, let value): note(value, &touches, written)
      case .store(let buffer, let position, let value):
        note(value, &touches, written)
        if buffer == output {
          touches = true
          written.insert(position)
        }
      case .accumulator: break
      case .loop(let loop): visit(loop.body)
      case .conditional(let condition, let body):
        note(condition, &touches, written)
        visit(body)
      case .product(let product):
        if [product.a, product.b, product.c].contains(where: { $0.buffer == input || $0.buffer == output }) { isFine = false }
      }
    }
    if touches {
      writingBlocks += 1
      if !positions.isSubset(of: written) { isFine = false }
      positions = []
    }
  }

  private mutating func note(_ value: Scalar, _ touches: inout Bool, _ written: Set<Position>) {
    if case .load(let buffer, _, let position, _) = value {
      if buffer == input {
        touches = true
        if written.contains(position) { isFine = false }
        positions.insert(position)
      }
      if buffer == output { isFine = false }
    }
    value.forEachPart { note($0, &touches, written) }
  }
}
