/// An operation on tensors. One struct an op, in a file of its own, that answers every question about it.
///
/// Attributes are the stored properties; `Codable` prints and parses them, `Hashable` finds equal operations.
public protocol TensorOp: Hashable, Sendable, Codable {
  /// The name in the text format. Families of ops that are one type (`exp`, `tanh`) give each value its own `name`.
  var name: String { get }

  /// The shape rule and the verifier in one.
  func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType]

  /// The plainest computation of the results; what every backend is held to.
  func reference(_ operands: [Literal]) -> [Literal]

  /// For each operand the gradient of a scalar with respect to it, given `g.upstream`; `nil` where there is none.
  func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?]

  /// How a kernel computes the results.
  func lower(_ operands: [TensorType]) -> Lowering

  /// Applications of the op that between them show all it can do; the laws of ops are tried on them.
  static var samples: [Sample] { get }
}

/// How an op becomes a kernel.
public enum Lowering: Sendable {
  /// Gives one element of the op's only result from its position: such ops fuse.
  case formula(@Sendable (_ source: any ElementSource, _ at: [Position]) -> Scalar)
  /// Builds the whole kernel; parameters are the operands, then the results.
  case kernel(@Sendable () -> Kernel)
  /// Has no kernel: a pass must have removed it (row-sparse bookkeeping, calls).
  case none
}

/// What an op's formula may ask for while it describes one element of its result.
public protocol ElementSource: AnyObject {
  /// The element of operand `number` at a position; zero where `guard` is false, and then the position may lie outside.
  func operand(_ number: Int, at position: [Position], where guard: Scalar?) -> Scalar
  /// Combines `body` over all positions of a box with the given extents.
  func reduce(_ reduction: Reduction, over extents: [Int], _ body: ([Position]) -> Scalar) -> Scalar
  /// An integer computed by the kernel, to be used in a position.
  func position(_ value: Scalar) -> Position
}

extension ElementSource {
  public func operand(_ number: Int, at position: [Position]) -> Scalar { operand(number, at: position, where: nil) }
}

/// An op applied to operands of given types.
public struct Sample: Sendable, CustomStringConvertible {
  public let op: any TensorOp
  public let operands: [TensorType]
  /// Integer operands are drawn below this, so that ids hit their table.
  public let integersBelow: Int64

  public init(_ op: any TensorOp, _ operands: TensorType..., integersBelow: Int64 = 5) {
    self.op = op
    self.operands = operands
    self.integersBelow = integersBelow
  }

  public var description: String {
    "\(op.name)(\(operands.map(\.description).joined(separator: ", ")))"
  }
}

/// What an op's `gradient` works with: its own operands and results, what arrives from above, and a builder.
public struct GradientBuilder {
  public private(set) var operands: [Value]
  public private(set) var results: [Value]
  /// The gradient with respect to each result; `nil` where the loss does not depend on it.
  public private(set) var upstream: [Value?]
  public var builder: FunctionBuilder

  public init(operands: [Value] = [], results: [Value] = [], upstream: [Value?] = [], builder: FunctionBuilder) {
    self.operands = operands
    self.results = results
    self.upstream = upstream
    self.builder = builder
  }

  /// Goes on with another operation, in the same function.
  public mutating func turn(to operands: [Value], results: [Value], upstream: [Value?]) {
    (self.operands, self.results, self.upstream) = (operands, results, upstream)
  }

  public func type(of value: Value) -> TensorType { builder.function.type(of: value) }

  /// Appends an op with one result.
  public mutating func emit(_ op: some TensorOp, _ operands: Value...) throws(Diagnostic) -> Value {
    try builder.emit(op, operands)[0]
  }
}
