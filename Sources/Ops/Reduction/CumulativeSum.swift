import IR

/// Running sums along an axis: `y[i] = Σⱼ≤ᵢ x[j]`; over `j < i` where exclusive; from the end where reversed.
///
/// Parallel over all other axes. Sums of bf16 and f16 are rounded at each store, not in the running sum.
public struct CumulativeSum: TensorOp {
  public var name: String { "cumulative_sum" }
  public let axis: Int
  public let exclusive: Bool
  public let reversed: Bool
  public init(axis: Int, exclusive: Bool = false, reversed: Bool = false) {
    self.axis = axis
    self.exclusive = exclusive
    self.reversed = reversed
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "x")
    try expectNumeric(operands[0], as: "x")
    try expectAxis(axis, of: operands[0])
    return operands
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let x = operands[0]
    switch x.elements {
    case .floats(let values): return [Literal(x.type, floats: running(values, x.type, zero: 0, +))]
    case .integers(let values): return [Literal(x.type, integers: running(values, x.type, zero: 0, &+))]
    }
  }

  private func running<T>(_ values: [T], _ type: TensorType, zero: T, _ add: (T, T) -> T) -> [T] {
    let (extent, inner) = (type.shape[axis], type.shape[(axis + 1)...].reduce(1, *))
    var result = values
    for line in 0..<(values.count / max(1, extent)) {
      var sum = zero
      let start = line / inner * inner * extent + line % inner
      for step in 0..<extent {
        let place = start + (reversed ? extent - 1 - step : step) * inner
        let next = add(sum, values[place])
        result[place] = exclusive ? sum : next
        sum = next
      }
    }
    return result
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    guard let dy = try g.floatUpstream() else { return g.none }
    return [try g.emit(CumulativeSum(axis: axis, exclusive: exclusive, reversed: !reversed), dy)]
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands[0]) } }

  /// Neighbouring lines are summed side by side, up to 64 in an iteration, so that memory is read in order.
  private func kernel(_ x: TensorType) -> Kernel {
    let k = KernelBuilder()
    let (extent, inner) = (x.shape[axis], x.shape[(axis + 1)...].reduce(1, *))
    let outer = x.shape[..<axis].reduce(1, *)
    let (from, to) = (k.input("x", x), k.output("y", x))
    let type = ScalarType(x.dtype)
    let chunk = min(64, max(1, inner))
    let chunks = pieces(of: inner, by: chunk)
    let sums = k.buffer("sums", type.dtype, chunk, .local)
    k.stage(below: outer * chunks) { piece in
      let firstLine = piece % max(1, chunks) * chunk
      let (start, limit) = (piece / max(1, chunks) * (extent * inner) + firstLine, Position(inner) - firstLine)
      let clear = k.lanes(below: chunk) { [.store(sums, $0, .zero(type))] }
      let run = k.loop(below: extent) { step in
        let along = reversed ? Position(extent - 1) - step : step
        return [k.lanes(below: chunk, limit: limit) { line in
          let at = start + along * inner + line
          let (defineOld, old) = k.define(k.load(sums, line))
          let (defineNew, new) = k.define(.binary(.add, .variable(old), k.load(from, at)))
          return [
            defineOld, defineNew, .store(sums, line, .variable(new)), .store(to, at, .variable(exclusive ? old : new)),
          ]
        }]
      }
      return [clear, run]
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(axis: 0), .f32(7)), Sample(Self(axis: 1, exclusive: true), .f32(3, 5)), Sample(Self(axis: 0), .f32(4, 3)),
    Sample(Self(axis: 1, reversed: true), .f32(2, 3, 5)), Sample(Self(axis: 0, exclusive: true, reversed: true), .i64(6)),
    Sample(Self(axis: 0), TensorType(.i32, [5, 1])), Sample(Self(axis: 0), TensorType(.u8, [9]), integersBelow: 200),
    Sample(Self(axis: 0), TensorType(.bf16, [9])), Sample(Self(axis: 1), .f32(2, 0)), Sample(Self(axis: 0), .f32(0, 2)),
  ]
}
