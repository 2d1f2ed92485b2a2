import IR

/// Runs functions by the plainest means: each op by its `reference`, each region by running its function, each launch
/// by the kernel interpreter. What it computes is what every backend is held to.
public struct Interpreter: Sendable {
  public let module: Module

  public init(_ module: Module) { self.module = module }

  public func run(_ name: String, _ arguments: [Literal]) throws(Diagnostic) -> [Literal] {
    guard let function = module.function(named: name) else { throw Diagnostic("there is no function @\(name)") }
    return try run(function, arguments)
  }

  /// Runs a function, which need not be part of the module.
  public func run(_ function: Function, _ arguments: [Literal]) throws(Diagnostic) -> [Literal] {
    let run = Run(module)
    return try run.call(function, arguments, at: .unknown)
  }
}

/// One run: the functions that are active and the kernels prepared so far.
private final class Run {
  private let functions: [String: Function]
  private let kernels: [String: Kernel]
  private var programs: [String: KernelProgram] = [:]
  private var active: [String] = []

  init(_ module: Module) {
    functions = Dictionary(module.functions.map { ($0.name, $0) }) { first, _ in first }
    kernels = Dictionary(module.kernels.map { ($0.name, $0) }) { first, _ in first }
  }

  func call(_ function: Function, _ arguments: [Literal], at place: Location) throws(Diagnostic) -> [Literal] {
    guard !active.contains(function.name) else { throw Diagnostic("@\(function.name) calls itself", at: place) }
    active.append(function.name)
    defer { active.removeLast() }
    let parameters = function.parameters
    guard arguments.count == parameters.count else {
      throw Diagnostic("@\(function.name) takes \(parameters.count) operands, got \(arguments.count)", at: place)
    }
    var values = [Literal?](repeating: nil, count: function.valueCount)
    for (number, (parameter, argument)) in zip(parameters, arguments).enumerated() {
      let wanted = function.type(of: parameter)
      guard argument.type == wanted else {
        throw Diagnostic("@\(function.name) wants \(wanted) as operand \(number), got \(argument.type)", at: place)
      }
      values[parameter.index] = argument
    }
    let (dying, isRead) = lives(in: function)
    for (number, operation) in function.operations.enumerated() {
      var operands: [Literal] = []
      for operand in operation.operands {
        operands.append(try value(operand, in: values, of: function, at: operation.location))
      }
      for value in dying[number] { values[value.index] = nil }
      let results = try apply(operation, to: operands, in: function)
      for (value, literal) in zip(operation.results, results) where isRead[value.index] {
        values[value.index] = literal
      }
    }
    var results: [Literal] = []
    for result in function.results { results.append(try value(result, in: values, of: function, at: place)) }
    return results
  }

  private func value(
    _ value: Value, in values: [Literal?], of function: Function, at place: Location
  ) throws(Diagnostic) -> Literal {
    if values.indices.contains(value.index), let literal = values[value.index] { return literal }
    throw Diagnostic("@\(function.name) uses value \(value.index) before it is computed", at: place)
  }

  /// For each operation the values that nothing reads after it; and whether anything reads each value at all.
  private func lives(in function: Function) -> (deaths: [[Value]], isRead: [Bool]) {
    var last = [Int?](repeating: nil, count: function.valueCount)
    var isRead = [Bool](repeating: false, count: function.valueCount)
    for (number, operation) in function.operations.enumerated() {
      for operand in operation.operands where last.indices.contains(operand.index) {
        last[operand.index] = number
        isRead[operand.index] = true
      }
    }
    for result in function.results where last.indices.contains(result.index) {
      last[result.index] = nil
      isRead[result.index] = true
    }
    var deaths = [[Value]](repeating: [], count: function.operations.count)
    for (index, number) in last.enumerated() {
      if let number { deaths[number].append(Value(index)) }
    }
    return (deaths, isRead)
  }

  private func apply(
    _ operation: Operation, to operands: [Literal], in function: Function
  ) throws(Diagnostic) -> [Literal] {
    let (op, place) = (operation.op, operation.location)
    let wanted = operation.results.map { function.type(of: $0) }
    let inferred: [TensorType]
    do {
      inferred = try op.infer(operands.map(\.type))
    } catch {
      throw Diagnostic("'\(op.name)' \(error.message)", at: place)
    }
    guard inferred == wanted else {
      throw Diagnostic("'\(op.name)' gives \(inferred), and the function says \(wanted)", at: place)
    }
    let results: [Literal]
    switch op {
    case let region as Region:
      guard let callee = functions[region.callee] else {
        throw Diagnostic("there is no function @\(region.callee)", at: place)
      }
      results = try call(callee, operands, at: place)
    case let launch as Launch:
      do {
        results = try program(launch.callee, at: place).run(operands, results: wanted)
      } catch {
        throw error.location.isKnown ? error : Diagnostic(error.message, at: place, notes: error.notes)
      }
    default: results = op.reference(operands)
    }
    guard results.map(\.type) == wanted else {
      throw Diagnostic("'\(op.name)' computes \(results.map(\.type)), and the function says \(wanted)", at: place)
    }
    return results
  }

  private func program(_ name: String, at place: Location) throws(Diagnostic) -> KernelProgram {
    if let program = programs[name] { return program }
    guard let kernel = kernels[name] else { throw Diagnostic("there is no kernel @\(name)", at: place) }
    let program = try KernelProgram(kernel)
    programs[name] = program
    return program
  }
}

/// Runs one kernel, statement by statement: the truth at kernel level for the backends.
///
/// f32 is computed in double precision and rounded only where the kernel asks for it (`round`, `bitcast`, stores to
/// bf16 and f16); i32 and i64 wrap around. What a kernel may not rely on (outputs, workspace and locals before they are
/// stored to) holds NaN and odd integers. An access outside its buffer is an error, not a trap.
public enum KernelInterpreter {
  public static func run(
    _ kernel: Kernel, inputs: [Literal], resultTypes: [TensorType]
  ) throws(Diagnostic) -> [Literal] {
    try KernelProgram(kernel).run(inputs, results: resultTypes)
  }
}
