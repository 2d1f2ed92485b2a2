import IR
import Passes
import Runtime

/// A compiled function and the memory of its parameters and results.
///
/// Write the parameters, `run`, read the results. After a run a donated parameter holds its result, so that a training
/// step is run again without writing its state.
public protocol Executable: AnyObject {
  /// The function that was compiled, as it was given.
  var function: Function { get }
  func write(_ tensor: HostTensor, to parameter: Int) throws(Diagnostic)
  func run() throws(Diagnostic)
  /// What parameter `number` holds now.
  func parameter(_ number: Int) throws(Diagnostic) -> HostTensor
  /// What the last run left in result `number`.
  func result(_ number: Int) throws(Diagnostic) -> HostTensor
}

/// An executable that was brought through the passes and has memory of its own.
public protocol LoweredExecutable: Executable {
  var program: LoweredProgram { get }
  /// Seconds of compiling: the passes, then machine code.
  var passSeconds: Double { get }
  var codeSeconds: Double { get }
  /// Bytes of all the memory that runs need.
  var plannedBytes: Int { get }
  /// The part of them that runs have touched so far; `nil` where the system does not tell.
  var usedBytes: Int? { get }
  /// Runs the function once and gives the seconds each step took, with its kernel's name.
  func profile() throws(Diagnostic) -> [(kernel: String, seconds: Double)]
}

extension Executable {
  public func parameterNumber(_ name: String) -> Int? {
    function.parameters.firstIndex { function.name(of: $0) == name }
  }
  public func resultNumber(_ name: String) -> Int? { function.resultNames.firstIndex(of: name) }

  /// Writes those tensors that the function takes, each as the parameter called `name` of its own; leaves out the others.
  public func write(
    _ tensors: [String: HostTensor], as name: (String) -> String = { $0 }
  ) throws(Diagnostic) {
    for (key, tensor) in tensors {
      if let number = parameterNumber(name(key)) { try write(tensor, to: number) }
    }
  }

  /// Writes every parameter by name, runs, and gives every result by name.
  public func run(_ inputs: [String: HostTensor]) throws(Diagnostic) -> [String: HostTensor] {
    for (number, value) in function.parameters.enumerated() {
      let name = function.name(of: value)
      guard let tensor = inputs[name] else { throw Diagnostic("@\(function.name) wants a value for '\(name)'") }
      try write(tensor, to: number)
    }
    try run()
    var results: [String: HostTensor] = [:]
    for (number, name) in function.resultNames.enumerated() { results[name] = try result(number) }
    return results
  }

  func check(_ tensor: HostTensor, for parameter: Int) throws(Diagnostic) {
    let type = function.type(of: function.parameters[parameter])
    guard tensor.type == type else {
      throw Diagnostic("parameter '\(function.name(of: function.parameters[parameter]))' is \(type), got \(tensor.type)")
    }
  }
}

/// Compiles a function of a module for a target.
public func compile(
  _ module: Module, entry: String, for target: CompileTarget, options: CompileOptions = CompileOptions()
) throws(Diagnostic) -> any Executable {
  guard let function = module.function(named: entry) else { throw Diagnostic("there is no function @\(entry)") }
  try target.checkAvailable()
  switch target {
  case .interpreter: return InterpretedProgram(module, try options.precision.applied(to: withoutRows(function)))
  case .cpu:
    #if LLVM
      return try CPUProgram(module, entry: entry, options: options)
    #else
      preconditionFailure("a target that is not available is refused")
    #endif
  case .cuda: return try DeviceProgram(onGPU: module, entry: entry, options: options)
  case .emulatedCUDA: return try DeviceProgram(emulated: module, entry: entry, options: options)
  }
}

/// A function run by the interpreter, as it is written.
public final class InterpretedProgram: Executable {
  public let function: Function
  private let interpreter: Interpreter
  private var values: [Literal?]
  private var results: [Literal] = []

  public init(_ module: Module, _ function: Function) {
    self.function = function
    interpreter = Interpreter(module)
    values = [Literal?](repeating: nil, count: function.parameters.count)
  }

  public func write(_ tensor: HostTensor, to parameter: Int) throws(Diagnostic) {
    try check(tensor, for: parameter)
    values[parameter] = tensor.literal
  }

  public func run() throws(Diagnostic) {
    let inputs = function.parameters.enumerated().map { values[$0] ?? .zeros(function.type(of: $1)) }
    results = try interpreter.run(function, inputs)
    for (parameter, result) in function.donations { values[parameter] = results[result] }
  }

  public func parameter(_ number: Int) throws(Diagnostic) -> HostTensor {
    try HostTensor(values[number] ?? .zeros(function.type(of: function.parameters[number])))
  }

  public func result(_ number: Int) throws(Diagnostic) -> HostTensor {
    guard results.indices.contains(number) else { throw Diagnostic("@\(function.name) was not run") }
    return try HostTensor(results[number])
  }
}
