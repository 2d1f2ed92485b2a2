import IR
import Ops
import Rewriting

extension Pass {
  /// Makes one kernel of two launches, where a row of the second reads only what the same row of the first writes.
  ///
  ///     %best, %at = launch @k1_top_k %scores          : f32[65536, 32], i64[65536, 32]
  ///     %weights = launch @k2_rows %best
  /// ->
  ///     %at, %weights = launch @k1_top_k_k2_rows %scores
  ///
  /// Regions are formed of ops that are formulas. Those that build their kernel by hand (a selection, a sum over rows that
  /// are looked up) join what stands before and after them here, on the level of kernels, where all are alike: loops around
  /// accesses whose positions say which row they belong to. What only passed between the two is never in memory.
  public static let fuseLaunches = Pass("fuse-launches", module: { (module, context) throws(Diagnostic) in
    let (before, given) = (module.launched, Set(module.kernels.map(\.name)))
    for index in module.functions.indices {
      var fusion = LaunchFusion(module.functions[index], module.kernels)
      fusion.run(&context)
      (module.functions[index], module.kernels) = (fusion.function, fusion.kernels)
    }
    // What is launched no more, and what became part of a larger kernel; kernels that nobody ever launched stay.
    let after = module.launched
    module.kernels.removeAll { kernel in
      !after.contains(kernel.name) && (before.contains(kernel.name) || !given.contains(kernel.name))
    }
  })
}

extension Module {
  /// The names of the kernels that functions launch.
  fileprivate var launched: Set<String> {
    Set(functions.flatMap { $0.operations.compactMap { ($0.op as? Launch)?.callee } })
  }
}

private struct LaunchFusion {
  private(set) var function: Function
  private(set) var kernels: [Kernel]
  private var numbers: [String: Int]
  /// Bytes that each kernel moves.
  private var traffic: [Int]
  private var definitions: [Int?]
  /// The value that each value is another name for, through reshapes.
  private var roots: [Value]
  /// Values that share memory with a training state: a launch that changes one in place stays as it is.
  private var donated: Set<Value> = []

  /// Of the bytes that both launches move, one in so many must be spared.
  private static let leastSaving = 48

  init(_ function: Function, _ kernels: [Kernel]) {
    self.function = function
    self.kernels = kernels
    numbers = Dictionary(uniqueKeysWithValues: kernels.enumerated().map { ($1.name, $0) })
    traffic = kernels.map(\.cost.bytes)
    definitions = function.definitions()
    roots = (0..<function.valueCount).map { Value($0) }
    for operation in function.operations where operation.match(Reshape.self) != nil {
      roots[operation.results[0].index] = roots[operation.operands[0].index]
    }
    for (parameter, result) in function.donations {
      donated.formUnion([function.parameters[parameter], function.results[result]])
    }
  }

  mutating func run(_ context: inout PassContext) {
    var number = 0
    while number < function.operations.count {
      let partners = self.partners(of: number)
      let found = partners.lazy.compactMap { [self] in plan($0, number) }.first
      if let found, context.allows() {
        apply(found)
        context.count("fused")
        number = found.first
      } else {
        number += 1
      }
    }
    function.removeDeadOperations()
  }

  /// The launches whose results a launch reads, the nearest first.
  private func partners(of number: Int) -> [Int] {
    guard let own = kernel(of: number) else { return [] }
    // What it could spare at most of what both move, if nobody else reads what passes.
    var spared: [Int: Int] = [:]
    for root in Set(function.operations[number].operands.map(root)) {
      guard let maker = definitions[root.index], kernel(of: maker) != nil else { continue }
      spared[maker, default: 0] += 2 * function.type(of: root).bytes
    }
    return spared.filter { $1 * Self.leastSaving >= traffic[own] + traffic[kernel(of: $0)!] }.keys.sorted(by: >)
  }

  /// The number of the kernel that an operation launches.
  private func kernel(of number: Int) -> Int? {
    function.operations[number].match(Launch.self).flatMap { numbers[$0.callee] }
  }

  private func root(_ value: Value) -> Value { roots[value.index] }

  private struct Plan {
    let first, second: Int
    let kernel: Kernel
    /// The reshapes between both that follow from the first.
    let moved: [Int]
    let operands, results: [Value]
  }

  /// How the launch at `first` becomes part of the one at `second`.
  private func plan(_ first: Int, _ second: Int) -> Plan? {
    guard let numberA = kernel(of: first), let numberB = kernel(of: second) else { return nil }
    let (a, b) = (kernels[numberA], kernels[numberB])
    let (early, late) = (function.operations[first], function.operations[second])
    func outputs(_ value: Value) -> Int? { early.results.firstIndex(of: root(value)) }
    let touched = early.operands + early.results + late.operands + late.results
    guard !touched.contains(where: { donated.contains(root($0)) }) else { return nil }

    // Whatever stands between and follows from the first is a reshape, and can wait.
    var moved: [Int] = []
    for number in first + 1..<second where function.operations[number].operands.contains(where: { outputs($0) != nil }) {
      guard function.operations[number].op is Reshape else { return nil }
      moved.append(number)
    }
    var kept = Set(function.results.compactMap(outputs))
    for number in second + 1..<function.operations.count where function.operations[number].match(Reshape.self) == nil {
      kept.formUnion(function.operations[number].operands.compactMap(outputs))
    }
    var passed: [BufferID: BufferID] = [:]
    for (input, operand) in late.operands.enumerated() {
      if let output = outputs(operand) { passed[BufferID(input)] = BufferID(early.operands.count + output) }
    }
    // A result that nobody reads stays one: the kernel may read it itself.
    kept.formUnion(early.results.indices.filter { !passed.values.contains(BufferID(early.operands.count + $0)) })
    let isKept = Set(kept.map { BufferID(early.operands.count + $0) })
    let saved = Set(passed.values).reduce(0) { $0 + a.buffers[$1.index].bytes * (isKept.contains($1) ? 1 : 2) }
    guard saved * Self.leastSaving >= traffic[numberA] + traffic[numberB],
      let pair = LaunchPair(a, b, passed: passed, kept: isKept), let kernel = pair.kernel(named: "\(a.name)_\(b.name)")
    else { return nil }
    let others = late.operands.enumerated().filter { passed[BufferID($0.offset)] == nil }.map(\.element)
    return Plan(
      first: first, second: second, kernel: kernel, moved: moved, operands: early.operands + others,
      results: early.results.enumerated().filter { kept.contains($0.offset) }.map(\.element) + late.results)
  }

  private mutating func apply(_ plan: Plan) {
    let operations = function.operations
    let launch = Launch(
      callee: add(plan.kernel), parameters: plan.operands.map { function.type(of: $0) },
      results: plan.results.map { function.type(of: $0) })
    let between = (plan.first + 1..<plan.second).filter { !plan.moved.contains($0) }
    function.operations =
      operations[..<plan.first] + between.map { operations[$0] }
      + [Operation(launch, plan.operands, plan.results, at: operations[plan.second].location)]
      + plan.moved.map { operations[$0] } + operations[(plan.second + 1)...]
    definitions = function.definitions()
  }

  /// The name of the kernel in the module; one that is made again is found again.
  private mutating func add(_ kernel: Kernel) -> String {
    let plainName = kernel.name
    if let known = kernels.first(where: { $0.buffers == kernel.buffers && $0.body == kernel.body }) { return known.name }
    var kernel = kernel
    var copies = 1
    while numbers[kernel.name] != nil {
      copies += 1
      kernel.name = "\(plainName)_\(copies)"
    }
    numbers[kernel.name] = kernels.count
    kernels.append(kernel)
    traffic.append(kernel.cost.bytes)
    return kernel.name
  }
}
