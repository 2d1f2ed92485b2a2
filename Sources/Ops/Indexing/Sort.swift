import IR

/// The elements along the last axis in order, and their places (i64). Equal elements keep the order they had.
///
/// Ascending, or descending; a NaN is larger than any number, and −0 equals 0.
public struct Sort: TensorOp {
  public var name: String { "sort" }
  public let descending: Bool
  public init(descending: Bool = false) { self.descending = descending }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    let x = operands[0]
    try expectNumeric(x, as: "x")
    try require(x.rank > 0, "wants a last axis, got \(x)")
    return [x, x.with(.i64)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    return x.ranked(keeping: x.type.shape[x.type.rank - 1]) { descending ? x.comesBefore($0, $1) : x.comesBefore($1, $0) }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { try scatterBack(&g) }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let x = operands[0]
    return .kernel {
      let k = KernelBuilder()
      let from = k.input("x", x)
      let (values, places) = (k.output("values", x), k.output("indices", x.with(.i64)))
      let sort = MergeSort(lines: x.shape.dropLast().reduce(1, *), extent: x.shape[x.rank - 1], dtype: x.dtype) {
        descending ? $0.isLarger(than: $1) : $1.isLarger(than: $0)
      }
      sort.emit(from, into: values, places, k)
      return k.kernel(name)
    }
  }

  public static let samples: [Sample] = [
    Sample(Self(), .f32(4, 7)), Sample(Self(descending: true), .f32(9)), Sample(Self(), .i64(2, 3, 5)),
    Sample(Self(descending: true), TensorType(.u8, [2, 16])), Sample(Self(), TensorType(.bf16, [1, 33])), Sample(Self(), .f32(3, 1)),
    Sample(Self(), .f32(2, 0)), Sample(Self(), .f32(0, 3)), Sample(Self(descending: true), TensorType(.i32, [64]), integersBelow: 9),
  ]
}
