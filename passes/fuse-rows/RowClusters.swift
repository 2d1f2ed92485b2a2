import IR
import Ops
import Rewriting

/// Groups a function's operations into regions that share rows.
///
/// Every operation has a *level*, the number of region borders and other operations on the longest way to it. Operations
/// join a region only at its own level, so no two regions ever need each other's results in a circle.
struct RowClusters {
  struct Cluster {
    let level: Int
    /// Numbers of rows that all members allow.
    var rows: Set<Int>
    var members: [Int]
    /// Operations of other clusters that this one computes again rather than read their results.
    var repeated: Set<Int> = []
  }

  let function: Function
  private let storage: DType
  /// By value, whether it is stored as it is whatever `storage` says; of interest where that says less than f32.
  private let isExact: [Bool]
  let uses: Uses
  private(set) var clusters: [Cluster] = []
  /// For every operation the number of its cluster, before merging; follow `root`.
  private var membership: [Int?]
  private var parent: [Int] = []
  private(set) var level: [Int]
  /// Operations that are repeated wherever they are read.
  let isFree: [Bool]
  private let operandTypes: [[TensorType]]
  /// The numbers of rows each operation allows by itself, and what it reads; worked out once.
  private let ownRows: [Set<Int>]
  private var sourcesOf: [[Source]] = []
  /// Clusters by level, and the large values each reads: where an operation may join beside others.
  private var byLevel: [Int: [Int]] = [:]
  private var largeReads: [Set<Value>] = []

  /// A value an operation reads through free operations, and the rows for which it reads it row by row.
  struct Source {
    let value: Value
    let producer: Int?
    let rows: Set<Int>?
  }

  /// - Parameter storage: what floats are kept in that pass from region to region; see `narrow-storage`.
  init(_ function: Function, storage: DType, context: inout PassContext) {
    self.function = function
    self.storage = storage
    isExact = storage == .f32 ? [] : function.keepsDigits()
    uses = Uses(function)
    membership = [Int?](repeating: nil, count: function.operations.count)
    level = [Int](repeating: 0, count: function.operations.count)
    isFree = function.operations.map { RowShapes.isFree($0.op) && $0.results.count == 1 && function.type(of: $0.results[0]).rows == nil }
    operandTypes = function.operations.map { $0.operands.map { function.type(of: $0) } }
    ownRows = function.operations.map { operation in
      RowShapes.own(
        operation.op, operation.operands.map { function.type(of: $0) }, operation.results.map { function.type(of: $0) })
    }
    sourcesOf = function.operations.indices.map { isFree[$0] ? [] : findSources(of: $0) }
    for number in function.operations.indices where !isFree[number] { place(number, &context) }
  }

  /// The bytes that a value takes in memory. Rows that the function itself makes may be kept in a shorter type.
  func storedBytes(of value: Value) -> Int {
    let type = function.type(of: value)
    guard storage != .f32, type.dtype == .f32, (type.shape.last ?? 1) >= Pass.shortestNarrowRow, !isExact[value.index],
      uses.definition[value.index] != nil
    else { return type.bytes }
    return type.bytes / DType.f32.size * storage.size
  }

  // MARK: Sources

  /// The values that operation `number` really reads, free operations looked through.
  func sources(of number: Int) -> [Source] { sourcesOf[number] }

  private func findSources(of number: Int) -> [Source] {
    let operation = function.operations[number]
    let result = function.type(of: operation.results[0])
    return operation.operands.indices.flatMap { index in
      follow(
        operation.operands[index], RowShapes.edge(operation.op, index, operandTypes[number], result))
    }
  }

  private func follow(_ value: Value, _ rows: Set<Int>) -> [Source] {
    guard let producer = uses.definition[value.index] else { return [Source(value: value, producer: nil, rows: rows)] }
    guard isFree[producer] else { return [Source(value: value, producer: producer, rows: rows)] }
    let operation = function.operations[producer]
    let result = function.type(of: value)
    return operation.operands.indices.flatMap { index in
      follow(
        operation.operands[index],
        rows.intersection(RowShapes.edge(operation.op, index, operandTypes[producer], result)))
    }
  }

  func own(_ number: Int) -> Set<Int> { ownRows[number] }

  /// The rows for which a value made by `producer` stays inside a region.
  private func inside(_ producer: Int, _ rows: Set<Int>) -> Set<Int> {
    rows.filter { !RowShapes.leaves(function.operations[producer].op, operandTypes[producer], rows: $0) }
  }

  // MARK: Placing

  func root(_ cluster: Int) -> Int {
    var cluster = cluster
    while parent[cluster] != cluster { cluster = parent[cluster] }
    return cluster
  }

  func cluster(of number: Int) -> Int? { membership[number].map(root) }

  private mutating func place(_ number: Int, _ context: inout PassContext) {
    let sources = self.sources(of: number)
    let top = sources.compactMap { $0.producer.map { level[$0] } }.max() ?? -1
    let own = self.own(number)
    guard !own.isEmpty else {
      level[number] = top + 1
      return
    }
    var rows = own
    var joined: Set<Int> = []
    var canJoin = top >= 0
    for source in sources {
      guard let producer = source.producer, level[producer] == top else { continue }
      guard let cluster = cluster(of: producer) else {
        canJoin = false
        break
      }
      rows.formIntersection(inside(producer, source.rows ?? []))
      rows.formIntersection(clusters[cluster].rows)
      joined.insert(cluster)
    }
    if canJoin, let first = joined.first, isWorthwhile(rows, instead: own, with: joined), context.allows() {
      for other in joined.dropFirst() { merge(other, into: first) }
      join(number, first, rows)
      context.count("fused")
      return
    }
    if canJoin {
      let operation = function.operations[number]
      let bytes = sources.reduce(0) { $0 + ($1.producer == nil ? 0 : function.type(of: $1.value).bytes) }
      context.refuse(
        "'\(operation.op.name)' stays apart from what it reads",
        rows.isEmpty ? "they share no rows" : "together they would have only \(rows.max()!) rows", bytes: bytes,
        at: operation.location)
    }
    // A region of the same level that reads the same large value can read it for both.
    let large = Set(sources.map(\.value).filter { function.type(of: $0).bytes >= 1 << 16 })
    for candidate in byLevel[top + 1] ?? [] where root(candidate) == candidate {
      guard !largeReads[candidate].isDisjoint(with: large) else { continue }
      let common = own.intersection(clusters[candidate].rows)
      guard isWorthwhile(common, instead: own, with: [candidate]), context.allows() else { continue }
      join(number, candidate, common)
      context.count("fused beside")
      return
    }
    byLevel[top + 1, default: []].append(clusters.count)
    largeReads.append(large)
    clusters.append(Cluster(level: top + 1, rows: own, members: [number]))
    parent.append(clusters.count - 1)
    membership[number] = clusters.count - 1
    level[number] = top + 1
  }

  /// Whether so few rows are still worth having one region.
  private func isWorthwhile(_ rows: Set<Int>, instead own: Set<Int>, with others: Set<Int>) -> Bool {
    guard let most = rows.max() else { return false }
    let before = others.compactMap { clusters[$0].rows.max() }
    if most >= 64 || most * 4 >= before.max() ?? most { return true }
    guard most * 4 >= min(before.min() ?? most, own.max() ?? most) else { return false }
    // A small operation at the end (the mean of all rows' losses) must not put all rows one after the other.
    return others.allSatisfy { planes(of: $0, rows: most) <= Self.fewPlanes }
  }

  /// Planes a row may gain when a region gets fewer rows.
  private static let fewPlanes = 16

  /// How many last axes of the widest value of a cluster lie in one of so many rows.
  private func planes(of cluster: Int, rows: Int) -> Int {
    let widest = rowTypes(of: cluster).max { $0.count < $1.count }
    guard let widest, let last = widest.shape.last else { return 1 }
    return widest.count / max(1, rows * last)
  }

  private func rowTypes(of cluster: Int) -> [TensorType] {
    clusters[cluster].members.flatMap { member in
      let operation = function.operations[member]
      return RowShapes.rowTypes(operation.op, operandTypes[member], operation.results.map { function.type(of: $0) })
    }
  }

  private mutating func join(_ number: Int, _ cluster: Int, _ rows: Set<Int>) {
    clusters[cluster].members.append(number)
    clusters[cluster].rows = rows
    membership[number] = cluster
    level[number] = clusters[cluster].level
    largeReads[cluster].formUnion(sourcesOf[number].map(\.value).filter { function.type(of: $0).bytes >= 1 << 16 })
  }

  private mutating func merge(_ other: Int, into cluster: Int) {
    clusters[cluster].members = (clusters[cluster].members + clusters[other].members).sorted()
    clusters[cluster].rows.formIntersection(clusters[other].rows)
    clusters[other].members = []
    largeReads[cluster].formUnion(largeReads[other])
    parent[other] = cluster
  }

  mutating func repeatOperations(_ numbers: Set<Int>, in cluster: Int, rows: Set<Int>) {
    clusters[cluster].repeated.formUnion(numbers)
    clusters[cluster].rows = rows
  }

  /// Members, what is repeated, and the free operations they read, in order.
  func body(of cluster: Int) -> [Int] {
    var numbers = Set(clusters[cluster].members).union(clusters[cluster].repeated)
    var pending = Array(numbers)
    while let number = pending.popLast() {
      for operand in function.operations[number].operands {
        guard let producer = uses.definition[operand.index], isFree[producer] else { continue }
        if numbers.insert(producer).inserted { pending.append(producer) }
      }
    }
    return numbers.sorted()
  }

  // MARK: The number of rows

  /// The number of rows a cluster is cut into: as many as leave a row of 16 or more neighbouring elements to the vector
  /// loops, or else as many as there are.
  func rows(of cluster: Int) -> Int {
    let candidates = clusters[cluster].rows.sorted(by: >)
    let widest = rowTypes(of: cluster).max { $0.count < $1.count }
    guard let widest, let last = widest.shape.last else { return candidates.first ?? 1 }
    if candidates.first == widest.count, widest.rank == 1 { return widest.count }
    return candidates.first { rows in
      rows > 1 && widest.count % rows == 0 && min(last, widest.count / rows) >= 16
    } ?? candidates.first ?? 1
  }
}
