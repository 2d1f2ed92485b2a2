import IR

extension Function {
  /// Applies patterns until none matches.
  ///
  /// Operations wait in a queue, at first all in order; a rewrite queues what it built, who reads it, and who lost a reader.
  /// So the work is that of the rewrites, plus one look at every operation.
  public mutating func rewrite(_ patterns: [Pattern], _ context: inout PassContext) throws(Diagnostic) {
    var byRoot: [ObjectIdentifier: [Pattern]] = [:]
    for pattern in patterns { byRoot[pattern.root, default: []].append(pattern) }
    var driver = RewriteDriver(self, byRoot)
    try driver.run(&context)
    if driver.rewrites > 0 { self = driver.rewriter.graph.finished() }
  }
}

private struct RewriteDriver {
  var rewriter: Rewriter
  private(set) var rewrites = 0
  private let patterns: [ObjectIdentifier: [Pattern]]
  private var queue: [Int]
  private var isQueued: [Bool]
  /// Rewrites after which the patterns must be going round in circles.
  private let mostRewrites: Int
  /// Why explained patterns did not match, by slot; the last look counts.
  private var refusals: [Int: [(pattern: String, reason: String)]] = [:]

  init(_ function: Function, _ patterns: [ObjectIdentifier: [Pattern]]) {
    rewriter = Rewriter(function)
    self.patterns = patterns
    queue = Array(function.operations.indices)
    isQueued = queue.map { _ in true }
    mostRewrites = 1000 + 50 * queue.count
  }

  mutating func run(_ context: inout PassContext) throws(Diagnostic) {
    var head = 0
    while head < queue.count {
      let slot = queue[head]
      head += 1
      isQueued[slot] = false
      guard let operation = rewriter.graph.slots[slot] else { continue }
      refusals[slot] = nil
      for pattern in patterns[ObjectIdentifier(type(of: operation.op))] ?? [] {
        guard let values = attempt(pattern, on: operation, in: slot) else { continue }
        guard context.allows() else { return }
        rewrites += 1
        guard rewrites <= mostRewrites else {
          throw Diagnostic("rewriting does not come to an end; the last rule was '\(pattern.name)'", at: operation.location)
        }
        apply(values, to: operation, in: slot)
        context.count(pattern.name)
        break
      }
    }
    report(&context)
  }

  /// The values that take the place of the operation's results, if the pattern matches.
  private mutating func attempt(_ pattern: Pattern, on operation: Operation, in slot: Int) -> [Value]? {
    rewriter.built = []
    rewriter.location = operation.location
    do {
      let values = try pattern.rewrite(operation, &rewriter)
      let isSound = values.map { rewriter.type(of: $0) } == operation.results.map { rewriter.type(of: $0) }
      assert(isSound, "the values of '\(pattern.name)' are of the types they replace")
      return isSound ? values : nil
    } catch {
      if pattern.isExplained { refusals[slot, default: []].append((pattern.name, error.reason)) }
      return nil
    }
  }

  private mutating func apply(_ values: [Value], to operation: Operation, in slot: Int) {
    var touched: [Int] = []
    for built in rewriter.built { touched.append(rewriter.graph.insert(built, before: slot)) }
    for (old, new) in zip(operation.results, values) { touched += rewriter.graph.replace(old, by: new) }
    touched += rewriter.graph.removeIfDead(slot)
    for built in touched.prefix(rewriter.built.count) { touched += rewriter.graph.removeIfDead(built) }
    // A value with fewer readers may let those that are left match: they asked for the only use.
    for slot in touched {
      enqueue(slot)
      for value in rewriter.graph.slots[slot]?.results ?? [] where rewriter.hasOneUse(value) {
        rewriter.graph.liveReaders(of: value).forEach { enqueue($0) }
      }
    }
  }

  private mutating func enqueue(_ slot: Int) {
    while isQueued.count < rewriter.graph.slots.count { isQueued.append(false) }
    guard rewriter.graph.slots[slot] != nil, !isQueued[slot] else { return }
    isQueued[slot] = true
    queue.append(slot)
  }

  private func report(_ context: inout PassContext) {
    for (slot, reasons) in refusals.sorted(by: { $0.key < $1.key }) {
      guard let operation = rewriter.graph.slots[slot] else { continue }
      let bytes = operation.operands.reduce(0) { $0 + rewriter.type(of: $1).bytes }
      for (pattern, reason) in reasons { context.refuse(pattern, reason, bytes: bytes, at: operation.location) }
    }
  }
}

extension Pass {
  /// A pass that applies patterns to each function until none matches, and counts each by its name.
  public init(_ name: String, isRequired: Bool = false, patterns: [Pattern]) {
    self.init(name, isRequired: isRequired, function: { (function, context) throws(Diagnostic) in
      try function.rewrite(patterns, &context)
    })
  }
}
