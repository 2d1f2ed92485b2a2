import IR
import Ops
import Rewriting

extension Pass {
  /// Replaces every operation by the launch of a kernel; equal kernels are one.
  ///
  ///     %3, %4 = region @rows_0 %h, %a {rows = 2048}
  /// ->
  ///     %3, %4 = launch @k0 %h, %a
  ///     kernel @k0(…) { parallel i0 < 2048 { … } }
  ///
  /// Reshapes stay: they are other names for the same memory.
  public static let lowerToKernels = Pass("lower-to-kernels", isRequired: true, module: { (module, context) throws(Diagnostic) in
    var kernels = KernelTable(module.kernels)
    let regions = module.regionNames
    for index in module.functions.indices where !regions.contains(module.functions[index].name) {
      var lowering = FunctionLowering(module, module.functions[index], kernels)
      try lowering.run(&context)
      module.functions[index] = lowering.main
      kernels = lowering.kernels
    }
    module.functions.removeAll { regions.contains($0.name) }
    module.kernels = kernels.kernels
  })
}

/// The kernels made so far; one that is made again is found again.
struct KernelTable {
  private(set) var kernels: [Kernel]
  private var known: [Kernel: String] = [:]

  init(_ kernels: [Kernel]) {
    self.kernels = kernels
    for kernel in kernels { known[Self.anonymous(kernel)] = kernel.name }
  }

  private static func anonymous(_ kernel: Kernel) -> Kernel {
    Kernel(name: "", buffers: kernel.buffers, body: kernel.body)
  }

  /// The name of the kernel in the module.
  mutating func add(_ kernel: Kernel) -> String {
    let key = Self.anonymous(kernel)
    if let name = known[key] { return name }
    let name = "k\(kernels.count)_\(kernel.name)"
    known[key] = name
    kernels.append(Kernel(name: name, buffers: kernel.buffers, body: kernel.body))
    return name
  }
}

private struct FunctionLowering {
  let module: Module
  let function: Function
  var main: Function
  var kernels: KernelTable
  private var map: [Value: Value]
  /// Kernels of regions by what the region does, so that equal regions are lowered once.
  private var lowered: [RegionKey: String] = [:]

  init(_ module: Module, _ function: Function, _ kernels: KernelTable) {
    self.module = module
    self.function = function
    self.kernels = kernels
    (main, map) = function.emptied()
  }

  mutating func run(_ context: inout PassContext) throws(Diagnostic) {
    for operation in function.operations { try lower(operation, &context) }
    main.results = function.results.map { map[$0]! }
    context.count("kernels", by: kernels.kernels.count)
  }

  private mutating func lower(_ operation: Operation, _ context: inout PassContext) throws(Diagnostic) {
    if operation.op is Reshape || operation.op is Launch {
      emit(operation.op, operation)
      return
    }
    if let region = operation.op as? Region {
      guard let body = module.function(named: region.callee) else {
        throw Diagnostic("'region' names @\(region.callee), which does not exist", at: operation.location)
      }
      let key = RegionKey(body, rows: region.rows)
      if let name = lowered[key] {
        launch(name, operation)
        return
      }
      do {
        let name = kernels.add(try RegionLowering(body, rows: region.rows, name: "rows").kernel())
        lowered[key] = name
        launch(name, operation)
      } catch {
        context.refuse("a region", error.message, bytes: 0, at: operation.location)
        context.count("regions taken apart")
        try inline(body, operation)
      }
      return
    }
    launch(kernels.add(try single(operation, in: function)), operation)
  }

  /// The kernel of one operation by itself.
  private func single(_ operation: Operation, in function: Function) throws(Diagnostic) -> Kernel {
    let operands = operation.operands.map { function.type(of: $0) }
    let results = operation.results.map { function.type(of: $0) }
    switch operation.op.lower(operands) {
    case .none:
      throw Diagnostic("'\(operation.op.name)' has no kernel; a pass must remove it first", at: operation.location)
    case .kernel(let make): return make()
    case .formula: break
    }
    if let contract = operation.op as? Contract, !contract.isRowResident,
      let kernel = ProductLowering.kernel(contract, operands, result: results[0], name: "product")
    {
      return kernel
    }
    if let kernel = rowKernel(operation, operands, results[0]) { return kernel }
    if let contract = operation.op as? Contract,
      let kernel = ProductLowering.kernel(contract, operands, result: results[0], name: "product")
    {
      return kernel
    }
    guard let kernel = ElementLowering.kernel(operation.op, operands, result: results[0], name: operation.op.name) else {
      throw Diagnostic("'\(operation.op.name)' cannot be lowered", at: operation.location)
    }
    return kernel
  }

  /// The operation as a region of its own, where that is possible.
  private func rowKernel(_ operation: Operation, _ operands: [TensorType], _ result: TensorType) -> Kernel? {
    var alone = Function(name: operation.op.name)
    let parameters = operands.map { alone.addParameter($0) }
    let value = alone.addValue(result)
    alone.operations = [Operation(operation.op, parameters, [value], at: operation.location)]
    alone.results = [value]
    var counts = RowShapes.own(operation.op, operands, [result]).sorted(by: >)
    if !(operation.op is Reduce || operation.op is Contract), let last = result.shape.last, result.count > 0 {
      // Nothing is summed: rows of the last axis, if that is long enough for vectors.
      counts = [last >= 8 ? result.count / last : result.count]
    }
    let wide = max(result.count, operands.map(\.count).max() ?? 1)
    let best = counts.first { $0 > 1 && wide / $0 >= 16 } ?? counts.first
    guard let rows = best else { return nil }
    return try? RegionLowering(alone, rows: rows, name: operation.op.name).kernel()
  }

  /// Lowers the operations of a region one by one.
  private mutating func inline(_ body: Function, _ call: Operation) throws(Diagnostic) {
    var inner: [Value: Value] = [:]
    for (parameter, operand) in zip(body.parameters, call.operands) { inner[parameter] = map[operand]! }
    for operation in body.operations {
      let operands = operation.operands.map { inner[$0]! }
      let types = operation.results.map { body.type(of: $0) }
      let results = types.map { main.addValue($0) }
      let op: any TensorOp
      if operation.op is Reshape {
        op = operation.op
      } else {
        let name = kernels.add(try single(operation, in: body))
        op = Launch(callee: name, parameters: operation.operands.map { body.type(of: $0) }, results: types)
      }
      main.operations.append(Operation(op, operands, results, at: operation.location))
      for (result, value) in zip(operation.results, results) { inner[result] = value }
    }
    for (result, value) in zip(call.results, body.results) { map[result] = inner[value]! }
  }

  private mutating func launch(_ kernel: String, _ operation: Operation) {
    let launch = Launch(
      callee: kernel, parameters: operation.operands.map { function.type(of: $0) },
      results: operation.results.map { function.type(of: $0) })
    emit(launch, operation)
  }

  private mutating func emit(_ op: any TensorOp, _ operation: Operation) {
    for result in operation.results {
      map[result] = main.addValue(function.type(of: result), name: function.name(of: result))
    }
    main.operations.append(
      Operation(op, operation.operands.map { map[$0]! }, operation.results.map { map[$0]! }, at: operation.location))
  }
}

/// What a region does, up to its name.
private struct RegionKey: Hashable {
  private let rows: Int
  private let parameters: [TensorType]
  private let operations: [AnyHashable]
  private let wiring: [[Int]]
  private let results: [Int]

  init(_ body: Function, rows: Int) {
    self.rows = rows
    parameters = body.parameters.map { body.type(of: $0) }
    operations = body.operations.map { AnyHashable($0.op) }
    var numbers: [Value: Int] = [:]
    for value in body.parameters + body.operations.flatMap(\.results) { numbers[value] = numbers.count }
    wiring = body.operations.map { $0.operands.map { numbers[$0]! } }
    results = body.results.map { numbers[$0]! }
  }
}
