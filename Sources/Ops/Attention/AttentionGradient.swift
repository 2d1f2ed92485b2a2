import Foundation
import IR

/// The gradient of `Attention` with respect to queries, keys and values, given the sums l of its scores and what arrives at
/// its result. The weights p are computed again, tile by tile:
///
///     p[t, s] = exp(x[t, s] − l[t])          dv[s] = Σₜ p[t, s] · dy[t]
///     dx[t, s] = p[t, s] · (dy[t] · v[s] − mean[t])
///     dq[t] = scale · Σₛ dx[t, s] · k[s]     dk[s] = scale · Σₜ dx[t, s] · q[t]
///
/// `mean[t]` is dy[t] · y[t], less the gradient with respect to l[t]. Keys and values get their sums from one stage, queries
/// from another: the scores are computed twice, so that nothing is added up in an order that nobody knows.
public struct AttentionGradient: TensorOp {
  public var name: String { "attention_gradient" }
  public let scale: Double
  public let isCausal: Bool

  public init(scale: Double, isCausal: Bool = false) {
    self.scale = scale
    self.isCausal = isCausal
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands, "queries", "keys", "values", "sums", "mean", "upstream")
    let shape = try AttentionShape(checking: operands)
    let sums = shape.sums
    try require(operands[3] == sums && operands[4] == sums, "wants sums and mean as \(sums), got \(operands[3]) and \(operands[4])")
    let y = shape.result(operands[0].dtype)
    try require(operands[5] == y, "wants what arrives at \(y), got \(operands[5])")
    return Array(operands.prefix(3))
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    let shape = AttentionShape(operands.map(\.type))
    let (q, k, v) = (operands[0].doubles, operands[1].doubles, operands[2].doubles)
    let (sums, mean, dy) = (operands[3].doubles, operands[4].doubles, operands[5].doubles)
    var gradients = operands.prefix(3).map { [Double](repeating: 0, count: $0.type.count) }
    for row in shape.allRows {
      for key in 0..<shape.seen(by: row, isCausal) {
        let weight = exp(scale * shape.dot(q, k, row, key, shape.width) - sums[row.number])
        let slope = scale * weight * (shape.dot(dy, v, row, key, shape.valueWidth) - mean[row.number])
        let (i, j) = (row.number, shape.key(row, key))
        for e in 0..<shape.width {
          gradients[0][i * shape.width + e] += slope * k[j * shape.width + e]
          gradients[1][j * shape.width + e] += slope * q[i * shape.width + e]
        }
        for e in 0..<shape.valueWidth {
          gradients[2][j * shape.valueWidth + e] += weight * dy[i * shape.valueWidth + e]
        }
      }
    }
    return zip(operands, gradients).map { Literal($0.type, floats: $1) }
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] {
    throw Diagnostic("'attention_gradient' has no gradient; leave out the pass 'fuse-attention' for derivatives of derivatives")
  }

  public func lower(_ operands: [TensorType]) -> Lowering { .kernel { kernel(operands) } }

  private func kernel(_ operands: [TensorType]) -> Kernel {
    let k = KernelBuilder()
    let shape = AttentionShape(operands)
    let tiles = AttentionTiles(shape, scale: scale, isCausal: isCausal, k)
    let names = ["queries", "keys", "values", "sums", "mean", "upstream"]
    let inputs = zip(names, operands).map { k.input($0, $1) }
    let outputs = zip(["dq", "dk", "dv"], operands).map { k.output($0, $1) }
    let backward = Backward(k, tiles, operands[0].dtype, inputs)
    backward.writeKeys(outputs[1], outputs[2])
    backward.writeQueries(outputs[0])
    return k.kernel(name)
  }

  public static let samples: [Sample] = [
    sample(Self(scale: 0.5), .f32(2, 5, 2, 3, 4), .f32(2, 7, 2, 4), .f32(2, 7, 2, 4)),
    sample(Self(scale: 0.7, isCausal: true), .f32(1, 9, 2, 1, 4), .f32(1, 9, 2, 4), .f32(1, 9, 2, 3)),
    sample(Self(scale: 0.3, isCausal: true), .f32(1, 70, 1, 2, 3), .f32(1, 70, 1, 3), .f32(1, 70, 1, 3)),
    sample(Self(scale: 0.3), .f32(1, 3, 1, 1, 2), .f32(1, 130, 1, 2), .f32(1, 130, 1, 9)),
    sample(
      Self(scale: 0.25, isCausal: true), TensorType(.bf16, [1, 72, 1, 1, 16]), TensorType(.bf16, [1, 72, 1, 16]),
      TensorType(.bf16, [1, 72, 1, 16])),
  ]

  private static func sample(_ op: Self, _ q: TensorType, _ k: TensorType, _ v: TensorType) -> Sample {
    let shape = AttentionShape([q, k, v])
    return Sample(op, q, k, v, shape.sums, shape.sums, shape.result(q.dtype))
  }
}

/// The two stages of the kernel, which compute weights and slopes alike.
private struct Backward {
  let k: KernelBuilder
  let tiles: AttentionTiles
  let q, keys, values, sums, mean, dy: BufferID
  let scores, reached, weights, slopes: BufferID
  let rowSums, rowMean: BufferID

  init(_ k: KernelBuilder, _ tiles: AttentionTiles, _ dtype: DType, _ inputs: [BufferID]) {
    (self.k, self.tiles) = (k, tiles)
    (q, keys, values) = (inputs[0], inputs[1], inputs[2])
    (sums, mean, dy) = (inputs[3], inputs[4], inputs[5])
    scores = tiles.local("scores", .f32, tiles.keyTile)
    reached = tiles.local("reached", .f32, tiles.keyTile)
    (rowSums, rowMean) = (tiles.local("row_sums", .f32, 1), tiles.local("row_mean", .f32, 1))
    // In f32 weights and slopes take the places of what they are made from.
    weights = dtype == .f32 ? scores : tiles.local("weights", dtype, tiles.keyTile)
    slopes = dtype == .f32 ? reached : tiles.local("slopes", dtype, tiles.keyTile)
  }

  private var shape: AttentionShape { tiles.shape }

  /// Weights and slopes of a tile.
  ///
  /// - Parameter sumsQueries: a query that belongs to the tile before is left out.
  private func weigh(_ place: AttentionTiles.Place, sumsQueries: Bool) -> [Statement] {
    let (down, across) = (tiles.queryTile, tiles.keyTile)
    let score = Product(
      m: down, n: across, k: shape.width, tiles.queries(q, place, shape.width), tiles.keysTurned(keys, place, shape.width),
      into: tiles.matrix(scores))
    let reach = Product(
      m: down, n: across, k: shape.valueWidth, tiles.queries(dy, place, shape.valueWidth),
      tiles.keysTurned(values, place, shape.valueWidth), into: tiles.matrix(reached))
    let fetch = k.lanes(below: down) { row in
      [
        .store(rowSums, row, k.load(sums, tiles.row(place, row))), .store(rowMean, row, k.load(mean, tiles.row(place, row))),
      ]
    }
    let weigh = tiles.eachRow(of: across) { row, column in
      let at = column * down + row
      var weight = Scalar.unary(.exponential, k.load(scores, at) * .float(tiles.scale) - k.load(rowSums, row))
      for condition in [tiles.isSeen(place, row, column), sumsQueries ? tiles.isOwn(query: row, place) : nil] {
        if let condition { weight = .select(condition, weight, .float(0)) }
      }
      let (define, name) = k.define(weight)
      let slope = .variable(name) * (k.load(reached, at) - k.load(rowMean, row)) * .float(tiles.scale)
      let (defineSlope, slopeName) = k.define(slope)
      return [define, defineSlope, .store(weights, at, .variable(name)), .store(slopes, at, .variable(slopeName))]
    }
    return [.product(score), .product(reach), fetch, weigh]
  }

  /// The gradients of keys and values, a tile of keys each.
  func writeKeys(_ dk: BufferID, _ dv: BufferID) {
    let (down, across) = (tiles.queryTile, tiles.keyTile)
    let sums = [("key_sums", shape.width), ("value_sums", shape.valueWidth)].map { name, width in
      (buffer: k.buffer(name, .f32, across * width, .local), width: width)
    }
    tiles.eachKeyTile { place in
      let clear = sums.map { sum in k.lanes(below: across * sum.width) { [.store(sum.buffer, $0, .float(0))] } }
      let pass = tiles.eachQueryTile(of: place) { place in
        let parts = [(slopes, q), (weights, dy)]
        let products = zip(sums, parts).map { sum, part in
          Statement.product(
            Product(
              m: across, n: sum.width, k: down, tiles.turned(tiles.matrix(part.0)), tiles.queries(part.1, place, sum.width),
              into: .init(sum.buffer, at: Position(0), rowStride: sum.width, columnStride: 1), accumulates: true))
        }
        return weigh(place, sumsQueries: true) + products
      }
      let write = zip(sums, [dk, dv]).map { sum, result in
        k.lanes(below: across * sum.width) { element in
          let (row, column) = (element / sum.width, element % sum.width)
          let at = tiles.keyRow(place, row) * sum.width + column
          return tiles.ifOwn(key: row, place, [.store(result, at, k.load(sum.buffer, element))])
        }
      }
      return clear + pass + write
    }
  }

  /// The gradient of the queries, a tile of queries each.
  func writeQueries(_ dq: BufferID) {
    let (down, across, width) = (tiles.queryTile, tiles.keyTile, shape.width)
    let sum = k.buffer("query_sums", .f32, down * width, .local)
    tiles.eachQueryTile { place in
      let clear = k.lanes(below: down * width) { [.store(sum, $0, .float(0))] }
      let pass = tiles.eachKeyTile(of: place) { place in
        let product = Product(
          m: down, n: width, k: across, tiles.matrix(slopes), tiles.keys(keys, place, width),
          into: .init(sum, at: Position(0), rowStride: width, columnStride: 1), accumulates: true)
        return weigh(place, sumsQueries: false) + [.product(product)]
      }
      let write = k.lanes(below: down * width) { element in
        let (row, column) = (element / width, element % width)
        let at = tiles.row(place, row) * width + column
        return tiles.ifOwn(query: row, place, [.store(dq, at, k.load(sum, element))])
      }
      return [clear] + pass + [write]
    }
  }
}
