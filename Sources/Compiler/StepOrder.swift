import CUDABackend
import IR
import Passes

/// Which steps of a program run beside each other on a device, and which wait.
///
/// A step waits for those before it that write what it reads or writes, and for those that read what it writes; nothing else
/// holds it. Steps are put into *strands*, which keep their order; a step that waits for one of another strand says so. Small
/// launches, of which an optimizer has hundreds, then do not stand in a line.
struct StepOrder {
  /// What one step does, and where: copies included.
  struct Accesses {
    var reads: [MemoryPlan.Slot]
    var writes: [MemoryPlan.Slot]
  }

  /// The strand of each step.
  private(set) var strands: [Int] = []
  /// For each step those of other strands that its strand does not know to be done.
  private(set) var waits: [[Int]] = []
  /// Whether somebody waits for a step.
  private(set) var isAwaited: [Bool]
  /// The last step of each strand that is used.
  private(set) var last: [Int: Int] = [:]
  /// The first one.
  private(set) var first: [Int: Int] = [:]

  /// - Parameters:
  ///   - steps: in an order that is right if each waits for the one before.
  ///   - most: strands there are.
  init(_ steps: [Accesses], most: Int) {
    isAwaited = [Bool](repeating: false, count: steps.count)
    let needed = Self.needed(by: steps)
    /// For each step, the newest step of every strand that is done when it is.
    var done: [[Int]] = []
    var known = [[Int]](repeating: [Int](repeating: -1, count: most), count: most)
    for (number, needed) in needed.enumerated() {
      let strand = self.strand(after: needed, most)
      var waits: [Int] = []
      // The newest first: what it waited for is known then.
      for other in needed.sorted(by: >) where strands[other] != strand && known[strand][strands[other]] < other {
        waits.append(other)
        isAwaited[other] = true
        known[strand] = zip(known[strand], done[other]).map { max($0, $1) }
      }
      known[strand][strand] = number
      done.append(known[strand])
      strands.append(strand)
      self.waits.append(waits)
      last[strand] = number
      if first[strand] == nil { first[strand] = number }
    }
  }

  /// Whether a step has a mark behind it: somebody waits for it, or it is the last of its strand.
  func isMarked(_ step: Int) -> Bool { isAwaited[step] || last[strands[step]] == step }

  /// The strand of a step: that of the newest step it needs, if it comes right behind it; else the one that is used least.
  private func strand(after needed: Set<Int>, _ most: Int) -> Int {
    if let newest = needed.filter({ last[strands[$0]] == $0 }).max() { return strands[newest] }
    return (0..<most).min { (last[$0] ?? -1, $0) < (last[$1] ?? -1, $1) } ?? 0
  }

  /// The steps that each must wait for.
  private static func needed(by steps: [Accesses]) -> [Set<Int>] {
    // Memory in pieces that no slot cuts.
    let edges = Set(steps.flatMap { $0.reads + $0.writes }.flatMap { [$0.offset, $0.offset + $0.bytes] }).sorted()
    let piece = Dictionary(uniqueKeysWithValues: edges.enumerated().map { ($1, $0) })
    var writer = [Int?](repeating: nil, count: edges.count)
    var readers = [[Int]](repeating: [], count: edges.count)
    func pieces(_ slot: MemoryPlan.Slot) -> Range<Int> { piece[slot.offset]!..<piece[slot.offset + slot.bytes]! }
    return steps.enumerated().map { number, step in
      var needed: Set<Int> = []
      for place in Set(step.reads).flatMap(pieces) {
        if let writer = writer[place] { needed.insert(writer) }
      }
      for place in Set(step.writes).flatMap(pieces) {
        if let writer = writer[place] { needed.insert(writer) }
        needed.formUnion(readers[place])
      }
      for place in Set(step.reads).flatMap(pieces) { readers[place].append(number) }
      for place in Set(step.writes).flatMap(pieces) { (writer[place], readers[place]) = (number, []) }
      needed.remove(number)
      return needed
    }
  }
}

/// The marks by which the steps of an order wait for each other in a queue's strands.
struct Strands {
  private let order: StepOrder
  private let start: any QueueMark
  /// By step; all made beforehand, for while work is recorded nothing is made.
  private let marks: [Int: any QueueMark]

  init(_ order: StepOrder, on queue: any DeviceQueue) throws(Diagnostic) {
    self.order = order
    start = try queue.makeMark()
    var marks: [Int: any QueueMark] = [:]
    for step in order.strands.indices where order.isMarked(step) { marks[step] = try queue.makeMark() }
    self.marks = marks
  }

  /// Comes before all steps.
  func begin() throws(Diagnostic) { try start.set(in: .work) }

  /// The strand of a step, which has waited for all that the step needs.
  func enter(_ step: Int) throws(Diagnostic) -> Int {
    let strand = order.strands[step]
    if strand != 0, order.first[strand] == step { try start.hold(.strand(strand)) }
    for other in order.waits[step] { try marks[other]?.hold(.strand(strand)) }
    return strand
  }

  /// Comes behind a step.
  func leave(_ step: Int) throws(Diagnostic) { try marks[step]?.set(in: .strand(order.strands[step])) }

  /// Comes after all steps: the first strand goes on when all are done.
  func join() throws(Diagnostic) {
    for (strand, step) in order.last.sorted(by: { $0.key < $1.key }) where strand != 0 { try marks[step]?.hold(.work) }
  }
}

extension LoweredProgram {
  /// What each step of the plan reads and writes on a device.
  func accesses(on queue: any DeviceQueue) -> [StepOrder.Accesses] {
    let numbers = stepKernels
    return plan.steps.enumerated().map { number, step in
      let kernel = module.kernels[numbers[number]]
      let inputs = kernel.buffers.filter { $0.role == .input }.count
      var writes = step.buffers.dropFirst(inputs) + step.copies.map(\.to)
      let scratch = queue.scratchBytes(of: numbers[number])
      if scratch > 0 { writes.append(MemoryPlan.Slot(offset: scratchOffset, bytes: scratch)) }
      return StepOrder.Accesses(reads: step.buffers.prefix(inputs) + step.copies.map(\.from), writes: Array(writes))
    }
  }
}
