/// Checks one function:
/// - every value is defined once, before it is used, and has a name of its own;
/// - every op accepts its operands and gives results of the declared types;
/// - what is called exists and has the operands' and results' types;
/// - results are defined, donations join a parameter and a result of one type, one to one.
struct FunctionVerifier {
  private let function: Function
  private let module: Module
  private let place: (header: Location, end: Location)?

  init(_ function: Function, _ module: Module, _ place: (header: Location, end: Location)?) {
    self.function = function
    self.module = module
    self.place = place
  }

  func wrong(_ message: String, at location: Location? = nil) -> Diagnostic {
    Diagnostic("\(written("@", function.name)): \(message)", at: location ?? place?.header ?? .unknown)
  }

  func verify() throws(Diagnostic) {
    try verifyNames()
    try verifyOperations()
    try verifyDonations()
  }

  private func verifyNames() throws(Diagnostic) {
    var names: Set<String> = []
    let values = function.parameters + function.operations.flatMap(\.results)
    for value in values where value.index < function.valueCount && !function.name(of: value).isEmpty {
      let name = function.name(of: value)
      guard names.insert(name).inserted else { throw wrong("two values are named '\(written("%", name))'") }
    }
    guard function.resultNames.isEmpty || function.resultNames.count == function.results.count else {
      throw wrong("names \(function.resultNames.count) of \(function.results.count) results")
    }
    names = []
    for name in function.resultNames where !name.isEmpty {
      guard names.insert(name).inserted else { throw wrong("two results are named '\(written("%", name))'") }
    }
  }

  private func verifyOperations() throws(Diagnostic) {
    var defined = [Bool](repeating: false, count: function.valueCount)
    func define(_ value: Value, at location: Location?) throws(Diagnostic) {
      guard defined.indices.contains(value.index) else {
        throw wrong("defines a value it has no type for", at: location)
      }
      guard !defined[value.index] else { throw wrong("\(name(value)) is defined twice", at: location) }
      defined[value.index] = true
    }
    for parameter in function.parameters { try define(parameter, at: nil) }
    for operation in function.operations {
      for operand in operation.operands {
        guard defined.indices.contains(operand.index), defined[operand.index] else {
          throw wrong("\(name(operand)) is used before it is defined", at: operation.location)
        }
      }
      try verify(operation)
      for result in operation.results { try define(result, at: operation.location) }
    }
    for (number, result) in function.results.enumerated() {
      guard defined.indices.contains(result.index), defined[result.index] else {
        throw wrong("result \(number) is never defined", at: place?.end)
      }
    }
  }

  private func verify(_ operation: Operation) throws(Diagnostic) {
    func wrong(_ message: String) -> Diagnostic {
      Diagnostic("'\(operation.op.name)' \(message)", at: operation.location)
    }
    let inferred: [TensorType]
    do {
      inferred = try operation.op.infer(operands(of: operation))
      try verifyCall(operation)
    } catch {
      throw wrong(error.message)
    }
    guard inferred.count == operation.results.count else {
      throw wrong("gives \(inferred.count) results, \(operation.results.count) are declared")
    }
    for (number, (result, type)) in zip(operation.results, inferred).enumerated() {
      guard result.index < function.valueCount else { throw wrong("defines a value that has no type") }
      let declared = function.type(of: result)
      guard declared == type else {
        throw wrong("gives \(type)\(inferred.count > 1 ? " as result \(number)" : ""), declared is \(declared)")
      }
    }
  }

  private func verifyCall(_ operation: Operation) throws(Violation) {
    if let region = operation.match(Region.self) {
      guard let callee = module.function(named: region.callee) else {
        throw missing(region.callee, "function", among: module.functions.map(\.name))
      }
      let (parameters, results) = (callee.parameters.map(callee.type), callee.results.map(callee.type))
      try require(region.rows > 0, "wants a positive number of rows, got \(region.rows)")
      try agree(parameters, operands(of: operation), "@\(callee.name) takes", "operand")
      try agree(results, region.results, "@\(callee.name) gives", "result")
    } else if let launch = operation.match(Launch.self) {
      guard let kernel = module.kernel(named: launch.callee) else {
        throw missing(launch.callee, "kernel", among: module.kernels.map(\.name))
      }
      try agree(kernel.buffers.filter { $0.role == .input }, operands(of: operation), "@\(kernel.name) takes", "operand")
      try agree(kernel.buffers.filter { $0.role == .output }, launch.results, "@\(kernel.name) gives", "result")
    }
  }

  private func operands(of operation: Operation) -> [TensorType] { operation.operands.map { function.type(of: $0) } }

  private func missing(_ name: String, _ kind: String, among names: [String]) -> Violation {
    let hint = didYouMean(name, among: names, sigil: "@")
    return Violation("calls '\(written("@", name))', and the module has no \(kind) of that name\(hint)")
  }

  private func agree(_ wanted: [TensorType], _ got: [TensorType], _ callee: String, _ what: String) throws(Violation) {
    try require(wanted.count == got.count, "has \(got.count) \(what)s, \(callee) \(wanted.count)")
    for (number, (wanted, got)) in zip(wanted, got).enumerated() {
      try require(wanted == got, "has \(got) as \(what) \(number), \(callee) \(wanted)")
    }
  }

  private func agree(_ wanted: [Kernel.Buffer], _ got: [TensorType], _ callee: String, _ what: String) throws(Violation)
  {
    try require(wanted.count == got.count, "has \(got.count) \(what)s, \(callee) \(wanted.count)")
    for (number, (buffer, type)) in zip(wanted, got).enumerated() {
      try require(type.rows == nil, "has \(type) as \(what) \(number), kernels know dense tensors only")
      try require(
        buffer.dtype == type.dtype && buffer.count == type.count,
        "has \(type) as \(what) \(number), \(callee) \(buffer.dtype.rawValue)[\(buffer.count)]")
    }
  }

  private func verifyDonations() throws(Diagnostic) {
    var taken: [Int: Int] = [:]
    for (parameter, result) in function.donations.sorted(by: { $0.key < $1.key }) {
      guard function.parameters.indices.contains(parameter) else {
        throw wrong("donates parameter \(parameter), which is none")
      }
      guard function.results.indices.contains(result) else {
        throw wrong("\(name(function.parameters[parameter])) is donated to result \(result), which is none")
      }
      let (from, to) = (function.type(of: function.parameters[parameter]), function.type(of: function.results[result]))
      guard from == to else {
        throw wrong(
          "\(name(function.parameters[parameter])) is \(from) and donated to result \(result), which is \(to)")
      }
      if let other = taken.updateValue(parameter, forKey: result) {
        throw wrong("parameters \(other) and \(parameter) are donated to the same result \(result)")
      }
    }
  }

  private func name(_ value: Value) -> String {
    guard value.index < function.valueCount, !function.name(of: value).isEmpty else { return "value \(value.index)" }
    return "'\(written("%", function.name(of: value)))'"
  }
}
