import IR

/// A row-sparse tensor written out: a table of zeros into which its rows are added. Costs the whole table.
public struct Densify: TensorOp {
  public var name: String { "densify" }
  public init() {}

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    _ = try expectRows(operands)
    return [operands[0].with(shape: operands[0].shape)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    let values = Literal(TensorType(x.type.dtype, [x.ids.count, x.type.shape[1]]), floats: x.doubles)
    return [values.summed(by: x.ids, into: x.type.shape[0])]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [try g.floatUpstream()] }
  public func lower(_ operands: [TensorType]) -> Lowering { .none }
  public static let samples: [Sample] = rowSamples.map { Sample(Self(), $0) }
}
