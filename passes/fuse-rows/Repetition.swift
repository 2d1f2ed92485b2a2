import IR
import Ops
import Rewriting

/// Computes values again in the regions that read them, where that moves fewer bytes than storing them.
///
/// A stream mix that only a later region adds to, or a normalised row that the backward pass wants again: both follow
/// cheaply from what is in memory anyway (the streams, a mean and a deviation for each row).
func repeatWhereCheaper(_ clusters: inout RowClusters, context: inout PassContext) {
  var readers = Readers(clusters)
  // What one region comes to read for a value may be all that another value needs: until nothing changes.
  while true {
    let (count, refusals) = sweep(&clusters, &readers, context: &context)
    if count > 0 { continue }
    refusals.forEach { context.refuse($0) }
    return
  }
}

/// Looks at every value once, the last first.
/// - Returns: how many operations are repeated now, and the values that stay stored.
private func sweep(
  _ clusters: inout RowClusters, _ readers: inout Readers, context: inout PassContext
) -> (count: Int, refusals: [PassContext.Refusal]) {
  let function = clusters.function
  var (count, refusals) = (0, [PassContext.Refusal]())
  for number in function.operations.indices.reversed() {
    guard let home = clusters.cluster(of: number), !clusters.isFree[number],
      let value = function.operations[number].results.first
    else { continue }
    let consumers = readers.regions(reading: value, outside: home)
    let bytes = clusters.storedBytes(of: value)
    guard !consumers.isEmpty, let plan = Plan(number, clusters, readers, home: home) else { continue }
    var rows: [Int: Set<Int>] = [:]
    // What a region must read besides to compute the value itself.
    var added: [Int: Int] = [:]
    for consumer in consumers {
      let inputs = plan.inputs.filter { !readers.reads(consumer, $0) }
      added[consumer] = inputs.reduce(plan.work) { $0 + clusters.storedBytes(of: $1) }
      rows[consumer] = plan.rows(for: value, in: consumer, clusters, readers)
    }
    func isPossible(_ consumer: Int) -> Bool { isFine(rows[consumer]!, clusters.clusters[consumer].rows) }
    let addedByAll = added.values.reduce(plan.storedBytes, +)
    let savedByAll = bytes * (consumers.count + 1)
    // Either nobody needs it in memory any more, or some spare themselves the reading of it.
    let isStored = readers.isKept(value) || addedByAll >= savedByAll || !consumers.allSatisfy(isPossible)
    let chosen = isStored ? consumers.filter { isPossible($0) && added[$0]! + plan.storedBytes < bytes } : consumers
    if isStored, !readers.isKept(value) {
      let reason =
        addedByAll < savedByAll
        ? "the regions share no rows" : "computing it again would read \(addedByAll) bytes to save \(savedByAll)"
      let what = "'\(function.operations[number].op.name)' is stored for a later region"
      refusals.append(.init(what: what, reason: reason, bytes: bytes, at: function.operations[number].location))
    }
    guard !chosen.isEmpty else { continue }
    guard context.allows() else { break }
    for consumer in chosen { clusters.repeatOperations(plan.operations, in: consumer, rows: rows[consumer]!) }
    count += plan.operations.count * chosen.count
    readers.update(chosen, clusters)
  }
  if count > 0 { context.count("repeated", by: count) }
  return (count, refusals)
}

private func isFine(_ rows: Set<Int>, _ before: Set<Int>) -> Bool {
  guard let most = rows.max(), let was = before.max() else { return false }
  return most >= 64 || most * 4 >= was
}

/// What each region reads, with what it repeats.
private struct Readers {
  private var read: [Int: Set<Value>] = [:]
  private var bodies: [Int: [Int]] = [:]
  private var regionsOf: [Value: Set<Int>] = [:]
  /// Values that operations outside all regions read, or that leave the function.
  private var kept: Set<Value>

  init(_ clusters: RowClusters) {
    let function = clusters.function
    kept = []
    func keep(_ value: Value) {
      guard kept.insert(value).inserted, let producer = clusters.uses.definition[value.index], clusters.isFree[producer]
      else { return }
      function.operations[producer].operands.forEach(keep)
    }
    function.results.forEach(keep)
    for number in function.operations.indices where !clusters.isFree[number] && clusters.cluster(of: number) == nil {
      function.operations[number].operands.forEach(keep)
    }
    update(clusters.clusters.indices.filter { clusters.root($0) == $0 }, clusters)
  }

  /// Works out anew what some regions read.
  mutating func update(_ numbers: [Int], _ clusters: RowClusters) {
    for index in numbers {
      for value in read[index] ?? [] { regionsOf[value]?.remove(index) }
      read[index] = []
      let cluster = clusters.clusters[index]
      // Repeated operations come on demand: only those that something in the region reads.
      var body = Set(cluster.members)
      var pending = cluster.members
      while let number = pending.popLast() {
        for source in clusters.sources(of: number) {
          if let producer = source.producer, cluster.repeated.contains(producer) {
            if body.insert(producer).inserted { pending.append(producer) }
          } else if source.producer.map({ clusters.cluster(of: $0) != index }) ?? true {
            read[index, default: []].insert(source.value)
            regionsOf[source.value, default: []].insert(index)
          }
        }
      }
      bodies[index] = body.sorted()
    }
  }

  func members(of cluster: Int) -> [Int] { bodies[cluster] ?? [] }
  func reads(_ cluster: Int, _ value: Value) -> Bool { read[cluster]?.contains(value) ?? false }
  func isKept(_ value: Value) -> Bool { kept.contains(value) }

  func regions(reading value: Value, outside home: Int) -> [Int] {
    (regionsOf[value] ?? []).subtracting([home]).sorted()
  }

  /// Whether a value is in memory whatever becomes of one of its readers.
  func isStored(_ value: Value, home: Int?) -> Bool {
    guard let home else { return true }
    return kept.contains(value) || !(regionsOf[value] ?? []).subtracting([home]).isEmpty
  }
}

/// The operations that compute a value from what is in memory anyway, and from small values.
private struct Plan {
  var operations: Set<Int> = []
  var inputs: Set<Value> = []
  /// For an operation, the rows for which those that read it within the plan read it row by row.
  var edges: [Int: Set<Int>] = [:]
  /// Bytes of small values that must be stored for this.
  var storedBytes = 0
  /// Bytes that are moved in the time that computing takes.
  var work = 0

  init?(_ number: Int, _ clusters: RowClusters, _ readers: Readers, home: Int) {
    let function = clusters.function
    let bytes = clusters.storedBytes(of: function.operations[number].results[0])
    var pending = [number]
    operations = [number]
    while let next = pending.popLast() {
      guard Self.isCheap(function.operations[next], function) else { return nil }
      work += Self.flops(of: function.operations[next], function) / Self.flopsPerByte
      for source in clusters.sources(of: next) {
        let size = clusters.storedBytes(of: source.value)
        guard let producer = source.producer else {
          inputs.insert(source.value)
          continue
        }
        let origin = clusters.cluster(of: producer)
        if origin == nil || readers.isStored(source.value, home: origin) {
          inputs.insert(source.value)
        } else if size * 8 <= bytes {
          if inputs.insert(source.value).inserted { storedBytes += 2 * size }
        } else if origin == home || clusters.clusters[home].repeated.contains(producer), operations.count < 12 {
          let rows = source.rows ?? []
          edges[producer] = edges[producer].map { $0.intersection(rows) } ?? rows
          if operations.insert(producer).inserted { pending.append(producer) }
        } else {
          return nil
        }
      }
    }
  }

  /// Operations that are done while one byte is moved: a processor does some 7 at its peak, a GPU some 20.
  private static let flopsPerByte = 8

  private static func flops(of operation: Operation, _ function: Function) -> Int {
    let count = function.type(of: operation.results[0]).count
    guard let contract = operation.op as? Contract else { return operation.op is Gather ? 0 : count }
    return 2 * count * terms(of: contract, operation, function)
  }

  /// How many products each element of a contraction is the sum of.
  private static func terms(of contract: Contract, _ operation: Operation, _ function: Function) -> Int {
    let extents = contract.labels.extents(function.type(of: operation.operands[0]), function.type(of: operation.operands[1]))
    return contract.labels.summed.reduce(1) { $0 * (extents[$1] ?? 1) }
  }

  /// The rows that a region still has in common with its operations once it computes the value itself.
  func rows(for value: Value, in consumer: Int, _ clusters: RowClusters, _ readers: Readers) -> Set<Int> {
    var possible = clusters.clusters[consumer].rows
    for operation in operations {
      possible.formIntersection(clusters.own(operation))
      if let edge = edges[operation] { possible.formIntersection(edge) }
    }
    for member in readers.members(of: consumer) {
      for source in clusters.sources(of: member) where source.value == value {
        possible.formIntersection(source.rows ?? [])
      }
    }
    return possible
  }

  /// Elementwise work, a sum over a few streams, or rows of a table that is read again and again.
  private static func isCheap(_ operation: Operation, _ function: Function) -> Bool {
    switch operation.op {
    case is Unary, is Binary, is Compare, is Select, is Cast: return true
    case let contract as Contract: return terms(of: contract, operation, function) <= 8
    case is Gather:
      let (table, rows) = (function.type(of: operation.operands[0]), function.type(of: operation.results[0]))
      return table.bytes * 4 <= rows.bytes
    default: return false
    }
  }
}
