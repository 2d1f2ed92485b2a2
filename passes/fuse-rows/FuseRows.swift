import IR
import Ops
import Rewriting

extension Pass {
  /// Makes regions of operations that share rows, so that what passes between them never reaches memory.
  ///
  ///     %0 = multiply %x, %x            : f32[2048, 512]
  ///     %1 = reduce %0 {kind = sum, axes = [1]}
  ///     …
  ///     %9 = multiply %x, %8
  /// ->
  ///     %9 = region @rows_0 %x {rows = 2048}
  ///
  /// A row-wise chain moves its inputs and its results once, however many operations it has.
  public static let fuseRows = rowFusion(storing: .f32)

  /// `fuse-rows` where `narrow-storage` comes after it: what is stored is weighed with fewer bytes.
  static let fuseRowsStoringBF16 = rowFusion(storing: .bf16)

  private static func rowFusion(storing storage: DType) -> Pass {
    Pass("fuse-rows", module: { (module, context) throws(Diagnostic) in
      var made: [Function] = []
      // A region that is there already is one kernel as it is.
      let regions = module.regionNames
      for index in module.functions.indices where !regions.contains(module.functions[index].name) {
        let function = module.functions[index]
        guard !function.operations.contains(where: { $0.op is Region || $0.op is Launch }) else { continue }
        var clusters = RowClusters(function, storage: storage, context: &context)
        repeatWhereCheaper(&clusters, context: &context)
        var outline = Outline(clusters, existing: module.functions + made)
        try outline.run()
        module.functions[index] = outline.main
        made += outline.regions
      }
      module.functions += made
    })
  }
}

/// Takes clusters out of a function: each becomes a function of its own, called as a region.
private struct Outline {
  let clusters: RowClusters
  let function: Function
  var main: Function
  var regions: [Function] = []
  /// Members of each cluster, what it repeats, and the free operations they read, in order.
  private let bodies: [[Int]]
  private var map: [Value: Value]
  private var taken: Set<String>

  init(_ clusters: RowClusters, existing: [Function]) {
    self.clusters = clusters
    function = clusters.function
    (main, map) = function.emptied()
    bodies = clusters.clusters.indices.map { clusters.root($0) == $0 ? clusters.body(of: $0) : [] }
    taken = Set(existing.map(\.name))
  }

  private enum Unit: Hashable {
    case cluster(Int)
    case operation(Int)
  }

  mutating func run() throws(Diagnostic) {
    let needed = neededOutside()
    for unit in order(needed) {
      switch unit {
      case .operation(let number): copy(number)
      case .cluster(let cluster): try outline(cluster, needed)
      }
    }
    main.results = function.results.map { map[$0]! }
  }

  /// The values that must exist in memory.
  private func neededOutside() -> Set<Value> {
    var needed = Set(function.results)
    var pending: [Value] = function.results
    func take(_ value: Value) {
      if needed.insert(value).inserted { pending.append(value) }
    }
    for (number, operation) in function.operations.enumerated() where !clusters.isFree[number] {
      guard clusters.cluster(of: number) == nil else { continue }
      operation.operands.forEach(take)
    }
    for index in clusters.clusters.indices where clusters.root(index) == index {
      for member in bodies[index] {
        for operand in function.operations[member].operands {
          if !isInside(operand, index) { take(operand) }
        }
      }
    }
    while let value = pending.popLast() {
      // A free operation that must exist needs its own operands.
      guard let number = clusters.uses.definition[value.index], clusters.isFree[number] else { continue }
      function.operations[number].operands.forEach(take)
    }
    return needed
  }

  private func isInside(_ value: Value, _ cluster: Int) -> Bool {
    guard let producer = clusters.uses.definition[value.index] else { return false }
    return clusters.isFree[producer] || clusters.cluster(of: producer) == cluster
      || clusters.clusters[cluster].repeated.contains(producer)
  }

  /// Clusters and single operations so that all is made before it is read, near the order of the text.
  private func order(_ needed: Set<Value>) -> [Unit] {
    var units: [(unit: Unit, last: Int)] = []
    var unitOf: [Value: Int] = [:]
    for index in clusters.clusters.indices where clusters.root(index) == index {
      let members = clusters.clusters[index].members
      guard members.contains(where: { function.operations[$0].results.contains { needed.contains($0) } }) else { continue }
      for member in members { for result in function.operations[member].results { unitOf[result] = units.count } }
      units.append((.cluster(index), members.max() ?? 0))
    }
    for (number, operation) in function.operations.enumerated() {
      guard clusters.isFree[number] ? needed.contains(operation.results[0]) : clusters.cluster(of: number) == nil else {
        continue
      }
      for result in operation.results { unitOf[result] = units.count }
      units.append((.operation(number), number))
    }
    var waiting = [Int](repeating: 0, count: units.count)
    var followers = [Set<Int>](repeating: [], count: units.count)
    for (index, unit) in units.enumerated() {
      let read: [Value] =
        switch unit.unit {
        case .operation(let number): function.operations[number].operands
        case .cluster(let cluster):
          bodies[cluster].flatMap { function.operations[$0].operands }.filter { !isInside($0, cluster) }
        }
      for source in Set(read.compactMap { unitOf[$0] }) where source != index {
        if followers[source].insert(index).inserted { waiting[index] += 1 }
      }
    }
    var ready = units.indices.filter { waiting[$0] == 0 }
    var ordered: [Unit] = []
    while let next = ready.indices.min(by: { units[ready[$0]].last < units[ready[$1]].last }) {
      let index = ready.remove(at: next)
      ordered.append(units[index].unit)
      for follower in followers[index] {
        waiting[follower] -= 1
        if waiting[follower] == 0 { ready.append(follower) }
      }
    }
    precondition(ordered.count == units.count, "regions need each other's results")
    return ordered
  }

  private mutating func copy(_ number: Int) {
    let operation = function.operations[number]
    for result in operation.results {
      map[result] = main.addValue(function.type(of: result), name: function.name(of: result))
    }
    main.operations.append(
      Operation(
        operation.op, operation.operands.map { map[$0]! }, operation.results.map { map[$0]! }, at: operation.location))
  }

  private mutating func outline(_ cluster: Int, _ needed: Set<Value>) throws(Diagnostic) {
    let numbers = bodies[cluster]
    let results = clusters.clusters[cluster].members.sorted().flatMap { function.operations[$0].results }
      .filter { needed.contains($0) }
    guard !results.isEmpty else { return }
    var region = Function(name: freshName())
    var inner: [Value: Value] = [:]
    var inputs: [Value] = []
    for number in numbers {
      let operation = function.operations[number]
      for operand in operation.operands where inner[operand] == nil && !isInside(operand, cluster) {
        inner[operand] = region.addParameter(function.type(of: operand))
        inputs.append(operand)
      }
    }
    for number in numbers {
      let operation = function.operations[number]
      for result in operation.results { inner[result] = region.addValue(function.type(of: result)) }
      region.operations.append(
        Operation(
          operation.op, operation.operands.map { inner[$0]! }, operation.results.map { inner[$0]! },
          at: operation.location))
    }
    region.results = results.map { inner[$0]! }
    region.removeDeadOperations()
    let rows = clusters.rows(of: cluster)
    let used = Set(region.operations.flatMap(\.operands)).union(region.results)
    let kept = zip(region.parameters, inputs).filter { used.contains($0.0) }
    region.dropParameters { !used.contains($0) }
    let outer = results.map { main.addValue(function.type(of: $0), name: function.name(of: $0)) }
    for (result, value) in zip(results, outer) { map[result] = value }
    main.operations.append(
      Operation(
        Region(
          callee: region.name, rows: rows, parameters: kept.map { function.type(of: $0.1) },
          results: results.map { function.type(of: $0) }),
        kept.map { map[$0.1]! }, outer, at: function.operations[numbers.last!].location))
    regions.append(region)
  }

  private mutating func freshName() -> String {
    var number = taken.count
    while taken.contains("rows_\(number)") { number += 1 }
    taken.insert("rows_\(number)")
    return "rows_\(number)"
  }
}
