import Foundation
import IR

/// Attention of queries to keys and values, without the matrix of their scores:
///
///     x[t, s] = scale · Σ_w q[b, t, g, r, w] · k[b, s, g, w]        causal: −∞ where s > t
///     y[b, t, g, r, v] = Σₛ exp(x[t, s] − l[t]) · v[b, s, g, v],     l[b, t, g, r] = log Σₛ exp(x[t, s])
///
/// for every b, every group g of queries that share keys, and every r of a group. The second result, in f32, is what the
/// backward pass computes the weights from again. Keys pass by tile by tile; what has been summed is scaled down
/// whenever a larger score comes. `fuse-attention` makes it of two contractions and a softmax.
public struct Attention: TensorOp {
  public var name: String { "attention" }
  public let scale: Double
  public let isCausal: Bool

  public init(scale: Double, isCausal: Bool = false) {
    self.scale = scale
    self.isCausal = isCausal
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "queries", "keys", "values")
    let shape = try AttentionShape(checking: operands)
    return [try checked(shape.result(operands[0].dtype)), try checked(shape.sums)]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let shape = AttentionShape(operands.map(\.type))
    let (q, k, v) = (operands[0].doubles, operands[1].doubles, operands[2].doubles)
    var y = [Double](repeating: 0, count: shape.rows * shape.valueWidth)
    var sums = [Double](repeating: 0, count: shape.rows)
    for row in shape.allRows {
      let scores = (0..<shape.seen(by: row, isCausal)).map { scale * shape.dot(q, k, row, $0, shape.width) }
      let largest = scores.max() ?? 0
      let total = scores.reduce(0) { $0 + exp($1 - largest) }
      sums[row.number] = largest + log(total)
      for (key, score) in scores.enumerated() {
        let (weight, from) = (exp(score - largest) / total, shape.key(row, key) * shape.valueWidth)
        for i in 0..<shape.valueWidth { y[row.number * shape.valueWidth + i] += weight * v[from + i] }
      }
    }
    let types = (try? infer(operands.map(\.type))) ?? []
    return zip(types, [y, sums]).map { Literal($0, floats: $1) }
  }

  /// The weights are computed again from the scores and their sums.
  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    let (y, sums) = (g.results[0], g.results[1])
    var arrived = g.upstream[0]
    if arrived == nil && g.upstream[1] != nil { arrived = try g.constant(0, like: y) }
    guard let dy = arrived else { return g.none }
    // What reaches a score is its weight times what reaches the weight, less this.
    let (wideUpstream, wideResult) = (try wide(dy, &g), try wide(y, &g))
    var mean = try g.emit(Reduce(.sum, axes: [4]), g.multiply(wideUpstream, wideResult))
    if let change = g.upstream[1] { mean = try g.subtract(mean, change) }
    let op = AttentionGradient(scale: scale, isCausal: isCausal)
    return try g.builder.emit(op, g.operands + [sums, mean, dy])
  }

  private func wide(_ value: Value, _ g: inout GradientBuilder) throws(Diagnostic) -> Value {
    g.type(of: value).dtype == .f32 ? value : try g.emit(Cast(.f32), value)
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands) } }

  private func kernel(_ operands: [TensorType]) -> Kernel {
    let k = KernelBuilder()
    let shape = AttentionShape(operands)
    let tiles = AttentionTiles(shape, scale: scale, isCausal: isCausal, k)
    let (q, keys, values) = (k.input("queries", operands[0]), k.input("keys", operands[1]), k.input("values", operands[2]))
    let y = k.output("y", operands[0].with(shape: [shape.rows, shape.valueWidth]))
    let l = k.output("sums", .f32(shape.rows))
    let (down, across) = (tiles.queryTile, tiles.keyTile)
    let scores = tiles.local("scores", .f32, across)
    let weights = operands[0].dtype == .f32 ? scores : tiles.local("weights", operands[0].dtype, across)
    // A column more than the tile has, so that what threads read side by side stands in different banks.
    let pitch = down + 1
    let mixed = k.buffer("mixed", .f32, shape.valueWidth * pitch, .local)
    // Of each row: the largest score so far, the sum of its weights, and what both are scaled by.
    let row = (top: tiles.local("top", .f32, 1), total: tiles.local("total", .f32, 1))
    let (best, factor) = (tiles.local("best", .f32, 1), tiles.local("factor", .f32, 1))
    // The sum once more, for whoever writes an element of the row. The lanes' own stays in their registers.
    let divisor = tiles.local("divisor", .f32, 1)

    tiles.eachQueryTile { place in
      let start = k.lanes(below: down) { [.store(row.top, $0, .float(-.infinity)), .store(row.total, $0, .float(0))] }
      let clear = tiles.eachRow(of: shape.valueWidth) { at, column in [.store(mixed, column * pitch + at, .float(0))] }
      let pass = tiles.eachKeyTile(of: place) { place in
        let score = Product(
          m: down, n: across, k: shape.width, tiles.queries(q, place, shape.width), tiles.keysTurned(keys, place, shape.width),
          into: tiles.matrix(scores))
        let begin = k.lanes(below: down) { [.store(best, $0, k.load(row.top, $0))] }
        let find = tiles.eachRow(of: across) { at, column in
          [.store(best, at, .binary(.maximum, k.load(best, at), tiles.score(scores, place, at, column)))]
        }
        let grow = k.lanes(below: down) { at in
          let (define, new) = k.define(k.load(best, at))
          let (defineFactor, scale) = k.define(.unary(.exponential, k.load(row.top, at) - .variable(new)))
          return [
            define, defineFactor, .store(row.top, at, .variable(new)), .store(factor, at, .variable(scale)),
            .store(row.total, at, k.load(row.total, at) * .variable(scale)),
          ]
        }
        let weigh = tiles.eachRow(of: across) { at, column in
          let score = tiles.score(scores, place, at, column)
          let (define, weight) = k.define(.unary(.exponential, score - k.load(row.top, at)))
          return [
            define, .store(weights, column * down + at, .variable(weight)),
            .store(row.total, at, k.load(row.total, at) + .variable(weight)),
          ]
        }
        let scaleDown = tiles.eachRow(of: shape.valueWidth) { at, column in
          [.store(mixed, column * pitch + at, k.load(mixed, column * pitch + at) * k.load(factor, at))]
        }
        let mix = Product(
          m: down, n: shape.valueWidth, k: across, tiles.matrix(weights), tiles.keys(values, place, shape.valueWidth),
          into: .init(mixed, at: Position(0), rowStride: 1, columnStride: pitch), accumulates: true)
        return [.product(score), begin, find, grow, weigh, scaleDown, .product(mix)]
      }
      let finish = k.lanes(below: down) { [.store(divisor, $0, k.load(row.total, $0))] }
      let write = k.lanes(below: down * shape.valueWidth) { element in
        let (at, column) = (element / shape.valueWidth, element % shape.valueWidth)
        let value = k.load(mixed, column * pitch + at) / k.load(divisor, at)
        return tiles.ifOwn(query: at, place, [.store(y, tiles.row(place, at) * shape.valueWidth + column, value)])
      }
      let writeSums = k.lanes(below: down) { at in
        let sum = k.load(row.top, at) + .unary(.logarithm, k.load(row.total, at))
        return tiles.ifOwn(query: at, place, [.store(l, tiles.row(place, at), sum)])
      }
      return [start, clear] + pass + [finish, write, writeSums]
    }
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    Sample(Self(scale: 0.5), .f32(2, 5, 2, 3, 4), .f32(2, 7, 2, 4), .f32(2, 7, 2, 4)),
    Sample(Self(scale: 0.7, isCausal: true), .f32(1, 9, 2, 1, 4), .f32(1, 9, 2, 4), .f32(1, 9, 2, 3)),
    // More than a tile, and not a whole number of them.
    Sample(Self(scale: 0.3, isCausal: true), .f32(1, 70, 1, 2, 3), .f32(1, 70, 1, 3), .f32(1, 70, 1, 3)),
    Sample(Self(scale: 0.3), .f32(1, 3, 1, 1, 2), .f32(1, 130, 1, 2), .f32(1, 130, 1, 9)),
    Sample(Self(scale: 0.3, isCausal: true), .f32(1, 66, 1, 1, 2), .f32(1, 3, 1, 2), .f32(1, 3, 1, 1)),
    Sample(
      Self(scale: 0.25, isCausal: true), TensorType(.bf16, [1, 72, 1, 1, 16]), TensorType(.bf16, [1, 72, 1, 16]),
      TensorType(.bf16, [1, 72, 1, 16])),
  ]
}
