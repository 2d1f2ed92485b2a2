import IR

/// Adds elements into zeros along the last axis: `y[b…, ids[b…, k]] += values[b…, k]`; the reverse of `GatherElements`.
///
/// A number outside of the axis adds nothing. With up to 8 elements to scatter each result is a sum over all of them where
/// the number fits, which fuses; more are added one by one, parallel over `b`.
public struct ScatterElements: TensorOp {
  public var name: String { "scatter_elements" }
  /// Elements along the result's last axis.
  public let extent: Int
  public init(extent: Int) { self.extent = extent }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "ids", "values")
    let (ids, values) = (operands[0], operands[1])
    try expectInteger(ids, as: "ids")
    try expectNumeric(values, as: "values")
    try require(values.rank > 0 && ids.shape == values.shape, "wants an id for each of \(values), got \(ids)")
    return [try checked(values.with(shape: values.shape.dropLast() + [extent]))]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let (ids, values) = (operands[0].integers, operands[1])
    let shape = values.type.shape
    let picks = shape[shape.count - 1]
    // Every element gets a row number of its own in one long list; those outside get none.
    let batches = shape.dropLast().reduce(1, *)
    let places = ids.enumerated().map { k, id in
      id >= 0 && id < extent ? Int64(k / picks * extent) + id : -1
    }
    let sums = values.reshaped(to: [ids.count]).summed(by: places, into: batches * extent)
    return [sums.reshaped(to: shape.dropLast() + [extent])]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [nil, try g.emit(GatherElements(), dy, g.operands[0])]
  }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let (ids, values) = (operands[0], operands[1])
    let picks = values.shape[values.rank - 1]
    if picks > 8 { return .kernel { kernel(ids, values) } }
    return .formula { source, at in
      let zero = Scalar.zero(ScalarType(values.dtype))
      return source.reduce(.sum, over: [picks]) { inner in
        let place = at.dropLast() + inner
        let fits = Scalar.compare(.equal, source.operand(0, at: place).wide, .position(at[at.count - 1]))
        return .select(fits, source.operand(1, at: place), zero)
      }.wrapped(to: values.dtype)
    }
  }

  private func kernel(_ ids: TensorType, _ values: TensorType) -> Kernel {
    let k = KernelBuilder()
    let picks = values.shape[values.rank - 1]
    let batches = values.shape.dropLast().reduce(1, *)
    let (i, v) = (k.input("ids", ids), k.input("values", values))
    let y = k.output("y", values.with(shape: [batches, extent]))
    let sums = RunningSums(k, values.dtype, count: extent, into: y)
    k.stage(below: batches) { batch in
      let first = batch * extent
      let add = k.loop(below: picks) { pick in
        let (define, id) = k.define(k.load(i, batch * picks + pick).wide)
        let value = k.load(v, batch * picks + pick)
        return [define, .conditional(Scalar.variable(id).isWithin(extent), [sums.add(value, at: Position(id), first)])]
      }
      return [sums.clear(first), add] + sums.finish(first)
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(extent: 5), .i64(3, 2), .f32(3, 2)), Sample(Self(extent: 4), .i64(2, 11), .f32(2, 11)),
    Sample(Self(extent: 7), TensorType(.i32, [9]), .f32(9)), Sample(Self(extent: 3), .i64(2, 2, 1), .f32(2, 2, 1)),
    Sample(Self(extent: 5), .i64(2, 12), .i64(2, 12)), Sample(Self(extent: 5), .i64(2, 9), TensorType(.bf16, [2, 9])),
    Sample(Self(extent: 3), .i64(2, 0), .f32(2, 0)), Sample(Self(extent: 0), .i64(2, 2), .f32(2, 2)),
    Sample(Self(extent: 5), .i64(0, 9), .f32(0, 9)),
  ]
}
