import IR

/// Ops that exist for the tests of IR alone: they bring attributes of every kind and shape rules that can be broken.
enum SampleOps {
  static let table: OpTable = {
    var table = OpTable([Elementwise.self])
    table.add(Everything.self, named: "everything")
    table.add(Halves.self, named: "halves")
    return table
  }()
}

protocol SampleOp: TensorOp {}

extension SampleOp {
  func reference(_ operands: [Literal]) -> [Literal] { operands }
  func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [] }
  static var samples: [Sample] { [] }
}

/// A family whose name is an attribute.
struct Elementwise: OpFamily, SampleOp {
  static let nameAttribute = "function"
  let function: UnaryFunction
  var name: String { function.rawValue }
  static var samples: [Sample] { UnaryFunction.allCases.map { Sample(Self(function: $0), .f32(2)) } }

  func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try require(operands.count == 1, "takes one operand, got \(operands.count)")
    return operands
  }
  func lower(_ operands: [TensorType]) -> Lowering {
    .formula { source, at in .unary(function, source.operand(0, at: at)) }
  }
}

/// An op with an attribute of every kind.
struct Everything: SampleOp {
  enum Kind: String, Codable, CaseIterable { case red, green = "very_green" }
  struct Group: Hashable, Codable {
    var low: Int
    var high: Int?
  }
  var name: String { "everything" }
  var flag = false
  var size = 0
  var unsigned: UInt64 = 0
  var scale = 0.0
  var single: Float = 0
  var label = ""
  var kind = Kind.red
  var optional: Int?
  var optionalFlag: Bool?
  var axes: [Int] = []
  var labels: [String] = []
  var kinds: [Kind] = []
  var scales: [Double] = []
  var type = TensorType(.f32, [])
  var types: [TensorType] = []
  var group = Group(low: 0)
  var groups: [Group] = []

  func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] { [type] }
  func lower(_ operands: [TensorType]) -> Lowering { .none }
}

/// `x → (first half, second half)` along the first axis.
struct Halves: SampleOp {
  var name: String { "halves" }

  func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try require(operands.count == 1, "takes one operand, got \(operands.count)")
    let extent = operands[0].shape.first ?? 0
    try require(extent > 0 && extent.isMultiple(of: 2), "wants an even first axis, got \(operands[0])")
    let half = operands[0].with(shape: [extent / 2] + operands[0].shape.dropFirst())
    return [half, half]
  }
  func lower(_ operands: [TensorType]) -> Lowering { .none }
}
