import IR

/// Sums of rows by segment: `y[s, r…] = Σ values[k, r…]` over the `k` with `ids[k] = s`, in the order of `k`.
///
/// A number outside of the segments adds nothing. The same sums as `ScatterAdd`, for few segments: the kernel is parallel
/// over segments, each of which reads all ids.
public struct SegmentSum: TensorOp {
  public var name: String { "segment_sum" }
  public let segments: Int
  public init(segments: Int) { self.segments = segments }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "ids", "values")
    let (ids, values) = (operands[0], operands[1])
    try expectRowPairs(ids, values)
    return [try checked(values.with(shape: [segments] + values.shape.dropFirst()))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    [operands[1].summed(by: operands[0].integers, into: segments)]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [nil, try g.emit(Gather(), dy, g.operands[0])]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands[0], operands[1]) } }

  private func kernel(_ ids: TensorType, _ values: TensorType) -> Kernel {
    let k = KernelBuilder()
    let width = values.shape.dropFirst().reduce(1, *)
    let (i, v) = (k.input("ids", ids), k.input("values", values))
    let y = k.output("y", values.with(shape: [segments, width]))
    let sums = RunningSums(k, values.dtype, count: width, into: y)
    k.stage(below: segments) { segment in
      let first = segment * width
      let add = k.loop(below: ids.count) { number in
        let mine = Scalar.compare(.equal, k.load(i, number).wide, .position(segment))
        let addRow = k.lanes(below: width) { column in
          [sums.add(k.load(v, number * width + column), at: column, first)]
        }
        return [.conditional(mine, [addRow])]
      }
      return [sums.clear(first), add] + sums.finish(first)
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(segments: 4), .i64(9), .f32(9)), Sample(Self(segments: 3), .i64(7), .f32(7, 5)),
    Sample(Self(segments: 1), TensorType(.i32, [3]), .f32(3, 2, 2)), Sample(Self(segments: 2), .i64(0), .f32(0, 3)),
    Sample(Self(segments: 5), .i64(6), .i64(6)), Sample(Self(segments: 3), .i64(5), TensorType(.f16, [5, 2])),
    Sample(Self(segments: 0), .i64(2), .f32(2)),
  ]
}
