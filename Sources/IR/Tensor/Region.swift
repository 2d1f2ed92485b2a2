/// Runs another function of the module: a *region*, made by fusion, whose operations become one kernel.
///
///     %3, %4 = region @hyper_0 %h, %a {rows = 2048}
///
/// The results' types stand in the op, so that a shape rule needs no module; the verifier holds them to the callee.
public struct Region: TensorOp {
  public var name: String { "region" }
  public let callee: String
  /// How many rows every value of the region is cut into.
  public let rows: Int
  public let results: [TensorType]
  public let parameters: [TensorType]

  public init(callee: String, rows: Int, parameters: [TensorType], results: [TensorType]) {
    self.callee = callee
    self.rows = rows
    self.parameters = parameters
    self.results = results
  }
  public static var samples: [Sample] { [] }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try check(operands, against: parameters, of: callee)
    return results
  }
  public func reference(_ operands: [Literal]) -> [Literal] { preconditionFailure("a region is run through its module") }
  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    throw Diagnostic("regions are made after differentiation", at: g.builder.location)
  }
  public func lower(_ operands: [TensorType]) -> Lowering { .none }
}

/// Runs a kernel of the module.
///
///     %3 = launch @k0 %h, %a
public struct Launch: TensorOp {
  public var name: String { "launch" }
  public let callee: String
  public let results: [TensorType]
  public let parameters: [TensorType]

  public init(callee: String, parameters: [TensorType], results: [TensorType]) {
    self.callee = callee
    self.parameters = parameters
    self.results = results
  }
  public static var samples: [Sample] { [] }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try check(operands, against: parameters, of: callee)
    return results
  }
  public func reference(_ operands: [Literal]) -> [Literal] { preconditionFailure("a launch is run through its module") }
  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    throw Diagnostic("launches are made after differentiation", at: g.builder.location)
  }
  public func lower(_ operands: [TensorType]) -> Lowering { .none }
}

private func check(_ operands: [TensorType], against wanted: [TensorType], of callee: String) throws(Violation) {
  try require(operands.count == wanted.count, "@\(callee) takes \(wanted.count) operands, got \(operands.count)")
  for (number, (got, want)) in zip(operands, wanted).enumerated() {
    try require(got == want, "@\(callee) wants \(want) as operand \(number), got \(got)")
  }
}

extension TensorType: Codable {
  private enum Key: String, CodingKey { case dtype, shape, rows }
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    self.init(
      try fields.decode(DType.self, forKey: .dtype), try fields.decode([Int].self, forKey: .shape),
      rows: try fields.decodeIfPresent(Int.self, forKey: .rows))
  }
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(dtype, forKey: .dtype)
    try fields.encode(shape, forKey: .shape)
    try fields.encodeIfPresent(rows, forKey: .rows)
  }
}

extension Module {
  /// Names of the functions that are regions of others.
  public var regionNames: Set<String> {
    Set(functions.flatMap { $0.operations.compactMap { ($0.op as? Region)?.callee } })
  }
}
