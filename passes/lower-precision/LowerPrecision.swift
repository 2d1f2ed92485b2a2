import IR
import Ops
import Rewriting

extension Pass {
  /// Multiplies matrices of bf16, with sums in f32; parameters and all that is no product stay f32.
  ///
  ///     %y = contract %x, %w {equation = "bti,oi->bto"} : f32[8, 64, 256]
  /// ->
  ///     %0 = cast %x {dtype = bf16}      %1 = cast %w {dtype = bf16}
  ///     %2 = contract %0, %1 {equation = "bti,oi->bto"} : bf16[8, 64, 256]
  ///     %y = cast %2 {dtype = f32}
  ///
  /// What a layer gives is rounded to bf16, so that only half of it is written; what has no parameter for a factor, as the
  /// gradient of a weight, or what a softmax or a loss is made of, is kept as it was summed. Contractions over few streams or coefficients stay f32, and so do
  /// those from which something is chosen: a router that rounds its scores chooses others.
  public static let lowerPrecision = Pass("lower-precision", function: { (function, context) throws(Diagnostic) in
    var lowering = PrecisionLowering(function)
    try lowering.run(&context)
    function = lowering.result
  })
}

private struct PrecisionLowering {
  private let source: Function
  private(set) var result: Function
  private var builder: FunctionBuilder
  private var map: [Value: Value]
  /// The bf16 twins of new f32 values.
  private var twins: [Value: Value] = [:]
  /// The operations of which new values are the only result.
  private var definitions: [Value: Operation] = [:]
  /// What follows from parameters alone, what a choice is made from, and what a softmax or a loss.
  private let isOfParameters: [Bool]
  private let isChosenFrom: [Bool]
  private let isPower: [Bool]

  init(_ function: Function) {
    source = function
    let (empty, map) = function.emptied()
    (result, self.map) = (empty, map)
    builder = FunctionBuilder(empty)
    isOfParameters = function.followsFromParameters()
    isChosenFrom = function.leads(to: \.isChoice, through: { !$0.isProduct })
    isPower = function.leads(to: \.isPower, through: { !$0.isProduct })
  }

  mutating func run(_ context: inout PassContext) throws(Diagnostic) {
    for operation in source.operations {
      builder.location = operation.location
      guard let plan = plan(for: operation), context.allows() else {
        try copy(operation)
        continue
      }
      context.count("in bf16")
      var operands: [Value] = []
      for (number, operand) in operation.operands.enumerated() {
        let value = map[operand]!
        operands.append(plan.narrow.contains(number) ? try narrowed(value) : value)
      }
      for (old, new) in zip(operation.results, try builder.emit(plan.op, operands)) {
        guard builder.function.type(of: new).dtype == .bf16 else {
          map[old] = new
          continue
        }
        let wide = try builder.emit(Cast(.f32), new)
        twins[wide] = new
        map[old] = wide
      }
      name(operation)
    }
    builder.function.results = source.results.map { map[$0]! }
    builder.function.removeDeadOperations()
    result = builder.function
  }

  private mutating func copy(_ operation: Operation) throws(Diagnostic) {
    let results = operation.results.map { builder.function.addValue(source.type(of: $0), name: source.name(of: $0)) }
    for (old, new) in zip(operation.results, results) { map[old] = new }
    let copy = Operation(operation.op, operation.operands.map { map[$0]! }, results, at: operation.location)
    builder.function.operations.append(copy)
    if results.count == 1 { definitions[results[0]] = copy }
  }

  private mutating func name(_ operation: Operation) {
    for old in operation.results { builder.function.setName(source.name(of: old), of: map[old]!) }
  }

  /// The value as bf16, made once: before its elements are moved, so that what is bf16 already is only moved.
  private mutating func narrowed(_ value: Value) throws(Diagnostic) -> Value {
    if let twin = twins[value] { return twin }
    let twin: Value
    if let definition = definitions[value], definition.op.isMovement {
      twin = try builder.emit(definition.op, [narrowed(definition.operands[0])])[0]
    } else {
      twin = try builder.emit(Cast(.bf16), value)
    }
    twins[value] = twin
    return twin
  }

  /// The op on bf16, and the operands that become bf16.
  private struct Plan {
    var op: any TensorOp
    var narrow: Set<Int>
  }

  /// `nil` for what stays as it is.
  private func plan(for operation: Operation) -> Plan? {
    let operands = operation.operands.map { source.type(of: $0) }
    guard operands.first?.dtype == .f32, operands.allSatisfy({ $0.rows == nil }) else { return nil }
    if operation.results.contains(where: { isChosenFrom[$0.index] }) { return nil }
    switch operation.op {
    case let contract as Contract:
      let result = source.type(of: operation.results[0])
      guard !contract.isWide, !contract.isRowResident, WidthExpansion.refusal(contract, operands, result) != nil else { return nil }
      let hasWeight = operation.operands.contains { isOfParameters[$0.index] }
      let isWide = !hasWeight || isPower[operation.results[0].index]
      return Plan(op: Contract(contract.equation, isWide: isWide), narrow: [0, 1])
    case is GroupedContract, is GroupedOuter: return Plan(op: operation.op, narrow: [0, 1])
    case is Attention: return Plan(op: operation.op, narrow: [0, 1, 2])
    case is AttentionGradient: return Plan(op: operation.op, narrow: [0, 1, 2, 5])
    default: return nil
    }
  }
}

extension Function {
  /// By value, whether it follows from parameters that this function trains or is given as `param/…`, and from nothing
  /// else: a weight, whatever its shape became.
  fileprivate func followsFromParameters() -> [Bool] {
    var follows = [Bool](repeating: false, count: valueCount)
    for parameter in parameters { follows[parameter.index] = name(of: parameter).hasPrefix("param/") }
    for operation in operations where !operation.operands.isEmpty {
      let all = operation.operands.allSatisfy { follows[$0.index] }
      for result in operation.results { follows[result.index] = all }
    }
    return follows
  }
}
