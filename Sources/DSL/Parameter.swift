import IR

/// A tensor of the model: its shape, how a new model starts, and how the optimizer treats it.
///
/// A layer declares it under a local name (`"weight"`); tracing puts the path of the layer before it
/// (`"blocks.0.attention.query.weight"`).
public struct Parameter: Hashable, Sendable, CustomStringConvertible {
  /// Who changes the tensor.
  public enum Role: Hashable, Sendable {
    /// The optimizer.
    case trained
    /// Nobody: it keeps its first value.
    case frozen
    /// The model itself; no gradient reaches it.
    case buffer
  }

  public var name: String
  public var type: TensorType
  public var initial: Initial
  public var role: Role
  /// Whether weight decay applies.
  public var decays: Bool
  /// Whether rows are looked up in it, so that a step touches few of them.
  public var isTable: Bool

  public init(
    _ name: String, _ shape: [Int], _ initial: Initial, dtype: DType = .f32, role: Role = .trained, decays: Bool = true,
    isTable: Bool = false
  ) {
    self.name = name
    type = TensorType(dtype, shape)
    self.initial = initial
    self.role = role
    self.decays = decays
    self.isTable = isTable
  }

  public var isTrained: Bool { role == .trained }
  public var description: String { "parameter '\(name)' \(type)" }

  func named(_ name: String) -> Parameter {
    var renamed = self
    renamed.name = name
    return renamed
  }

  var hasValuesOfItsShape: Bool { initial.count.map { $0 == type.count } ?? true }
}
