import IR
import Ops
import Rewriting

extension Pass {
  /// Keeps in bf16 what passes through memory between two regions; inside them everything stays f32.
  ///
  ///     %0 = region @rows_0 %h {rows = 2048}       : f32[2048, 4, 512]
  ///     %y = region @rows_1 %0, %u {rows = 2048}
  /// ->
  ///     %0 = region @rows_0 %h {rows = 2048}       : bf16[2048, 4, 512]
  ///     %y = region @rows_1 %0, %u {rows = 2048}
  ///
  /// where @rows_0 ends with a cast to bf16 and @rows_1 begins with one to f32. Residual streams and their gradients are
  /// nearly all that a model moves besides its products, so this halves its traffic.
  ///
  /// Short rows stay f32: coefficients, means, deviations. So does what becomes a result without being summed or
  /// multiplied on the way (a new parameter, a moment), and what something is chosen from or a softmax or a loss is made
  /// of. Source of the policy: mHC, arXiv 2512.24880, equations 10–19.
  public static let narrowStorage = Pass("narrow-storage", module: { (module, context) throws(Diagnostic) in
    let regions = module.regionNames
    for index in module.functions.indices where !regions.contains(module.functions[index].name) {
      var narrowing = StorageNarrowing(module, main: index)
      try narrowing.run(&context)
      module = narrowing.module
    }
  })

  /// Rows of fewer elements are no activations.
  static let shortestNarrowRow = 32
}

private struct StorageNarrowing {
  private(set) var module: Module
  private let main: Int
  private let source: Function
  /// Functions of the module by name.
  private let numbers: [String: Int]
  /// Values that keep all their digits.
  private let isExact: [Bool]

  init(_ module: Module, main: Int) {
    self.module = module
    self.main = main
    source = module.functions[main]
    numbers = Dictionary(module.functions.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    let regions = numbers.mapValues { module.functions[$0] }
    isExact = source.keepsDigits(regions: regions)
  }

  mutating func run(_ context: inout PassContext) throws(Diagnostic) {
    let candidates = self.candidates()
    var narrow: Set<Value> = []
    for value in candidates where context.allows() { narrow.insert(value) }
    guard !narrow.isEmpty else { return }
    context.count("in bf16", by: narrow.count)
    try change(narrow)
  }

  /// Large rows of f32 that a region makes and nothing but regions read, in the order of the program.
  private func candidates() -> [Value] {
    var calls: [String: Int] = [:]
    for case let region as Region in module.functions.flatMap(\.operations).map(\.op) { calls[region.callee, default: 0] += 1 }
    // The most rows into which a region cuts a value; none where something else touches it.
    var rows = [Int?](repeating: 0, count: source.valueCount)
    for result in source.results { rows[result.index] = nil }
    for operation in source.operations {
      let cut = calls[(operation.op as? Region)?.callee ?? ""] == 1 ? (operation.op as? Region)?.rows : nil
      for value in operation.operands + operation.results {
        rows[value.index] = rows[value.index].flatMap { most in cut.map { max(most, $0) } }
      }
    }
    let isRead = Set(source.operations.flatMap(\.operands))
    return source.operations.flatMap(\.results).filter { value in
      guard isRead.contains(value), !isExact[value.index], let rows = rows[value.index] else { return false }
      let type = source.type(of: value)
      return type.dtype == .f32 && type.rows == nil && type.count >= rows * Pass.shortestNarrowRow
    }
  }

  /// Gives the values another type, in this function and in the regions.
  private mutating func change(_ narrow: Set<Value>) throws(Diagnostic) {
    var (result, map) = source.emptied()
    for operation in source.operations {
      for value in operation.results {
        let type = source.type(of: value)
        map[value] = result.addValue(narrow.contains(value) ? type.with(.bf16) : type, name: source.name(of: value))
      }
      var op = operation.op
      if let region = op as? Region, let number = numbers[region.callee] {
        let parameters = operation.operands.map(narrow.contains), results = operation.results.map(narrow.contains)
        module.functions[number] = try module.functions[number].casting(parameters: parameters, results: results)
        op = Region(
          callee: region.callee, rows: region.rows, parameters: operation.operands.map { result.type(of: map[$0]!) },
          results: operation.results.map { result.type(of: map[$0]!) })
      }
      result.operations.append(
        Operation(op, operation.operands.map { map[$0]! }, operation.results.map { map[$0]! }, at: operation.location))
    }
    result.results = source.results.map { map[$0]! }
    module.functions[main] = result
  }
}

extension Function {
  /// By value, whether it keeps all its digits in memory: it becomes a result element by element, or something is chosen
  /// from it, or a softmax or a loss made of it.
  func keepsDigits(regions: [String: Function] = [:]) -> [Bool] {
    let isChosenFrom = leads(to: { $0.isChoice || $0.isPower }, through: { !$0.isProduct }, regions: regions)
    let isResult = leads(to: { _ in false }, orTo: results, through: \.isElementwise, regions: regions)
    return zip(isChosenFrom, isResult).map { $0 || $1 }
  }

  /// The function with some parameters and results in bf16, and all that it computes as it was.
  fileprivate func casting(parameters isNarrow: [Bool], results isRounded: [Bool]) throws(Diagnostic) -> Function {
    guard isNarrow.contains(true) || isRounded.contains(true) else { return self }
    var builder = FunctionBuilder(name: name)
    builder.location = operations.first?.location ?? .unknown
    var map: [Value: Value] = [:]
    for (parameter, isNarrow) in zip(parameters, isNarrow) {
      let type = type(of: parameter)
      map[parameter] = builder.parameter(isNarrow ? type.with(.bf16) : type, name: name(of: parameter))
    }
    for (parameter, isNarrow) in zip(parameters, isNarrow) where isNarrow {
      map[parameter] = try builder.emit(Cast(.f32), map[parameter]!)
    }
    for operation in operations {
      for result in operation.results { map[result] = builder.function.addValue(type(of: result), name: name(of: result)) }
      builder.function.operations.append(
        Operation(operation.op, operation.operands.map { map[$0]! }, operation.results.map { map[$0]! }, at: operation.location))
    }
    builder.location = operations.last?.location ?? .unknown
    for (result, isRounded) in zip(results, isRounded) {
      let value = map[result]!
      builder.function.results.append(isRounded ? try builder.emit(Cast(.bf16), value) : value)
    }
    builder.function.resultNames = resultNames
    return builder.function
  }
}
