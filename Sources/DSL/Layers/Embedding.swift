import IR

/// One row of a table for every id; the row of a negative id is zero.
///
/// Its gradient is row-sparse.
public struct Embedding: Layer {
  public let weight: Parameter

  /// - Parameter isTable: whether the optimizer treats it as a table: no decay, a learning rate of its own, lazy rows.
  public init(rows: Int, width: Int, isTable: Bool = false, initial: Initial = .normal(0.02)) {
    weight = Parameter("weight", [rows, width], initial, decays: !isTable, isTable: isTable)
  }

  public func callAsFunction(_ ids: Tensor) -> Tensor { ids.trace[weight].rows(ids).cast(to: .f32) }
}
