import IR
import Ops

/// Lowers a contraction to matrix products on memory: labels fall into batch, rows, columns and depth, and each group
/// that lies evenly in memory is one axis of the product, so that no operand is ever transposed.
struct ProductLowering {
  /// One axis of a product: how many steps, and how far each moves in either operand and the result.
  private struct Axis {
    var extent: Int
    var a: Int
    var b: Int
    var c: Int
  }

  static func kernel(_ op: Contract, _ operands: [TensorType], result: TensorType, name: String) -> Kernel? {
    guard result.dtype.isFloat, result.count > 0 else { return nil }
    let labels = op.labels
    let extents = labels.extents(operands[0], operands[1])
    func axis(_ label: Character) -> Axis {
      func stride(_ list: [Character], _ type: TensorType) -> Int {
        list.firstIndex(of: label).map { type.strides[$0] } ?? 0
      }
      return Axis(
        extent: extents[label]!, a: stride(labels.a, operands[0]), b: stride(labels.b, operands[1]),
        c: stride(labels.result, result))
    }
    var (batch, rows, columns): ([Axis], [Axis], [Axis]) = ([], [], [])
    for label in labels.result {
      switch (labels.a.contains(label), labels.b.contains(label)) {
      case (true, true): batch.append(axis(label))
      case (true, false): rows.append(axis(label))
      default: columns.append(axis(label))
      }
    }
    let summed = labels.summed
    guard summed.allSatisfy({ labels.a.contains($0) && labels.b.contains($0) }) else { return nil }
    let depth = summed.map(axis)

    // What does not lie evenly in memory becomes a loop around the product.
    let (outerRows, m) = merged(rows)
    let (outerColumns, n) = merged(columns)
    let (outerDepth, k) = merged(depth)
    batch += outerRows + outerColumns
    var product = Sides(m: m, n: n, k: k, isSwapped: false)
    // The longer side is the one that is cut into pieces.
    if product.n.extent > product.m.extent { product = product.swapped }
    guard product.isEven else { return nil }

    let batchCount = batch.reduce(1) { $0 * $1.extent }
    let rowsOfProduct = product.m.extent
    let cuts = batchCount >= 8 ? 1 : rowsOfProduct >= 1024 ? 8 : rowsOfProduct >= 256 ? 4 : rowsOfProduct >= 128 ? 2 : 1
    let tile = cuts == 1 ? rowsOfProduct : ((rowsOfProduct + cuts - 1) / cuts + 15) / 16 * 16
    let tiles = (rowsOfProduct + tile - 1) / tile
    let loop = LoopVariable(0, below: batchCount * tiles)
    let start = Position(loop) % tiles * tile
    var offsets = (a: Position(0), b: Position(0), c: Position(0))
    let at = Position.position(of: Position(loop) / tiles, in: batch.map(\.extent))
    for (position, axis) in zip(at, batch) {
      offsets = (offsets.a + position * axis.a, offsets.b + position * axis.b, offsets.c + position * axis.c)
    }
    let (m1, n1, k1) = (product.m, product.n, product.k)
    let left = Product.Matrix(
      BufferID(product.isSwapped ? 1 : 0), at: (product.isSwapped ? offsets.b : offsets.a) + start * m1.a,
      rowStride: m1.a, columnStride: k1.a)
    let right = Product.Matrix(
      BufferID(product.isSwapped ? 0 : 1), at: product.isSwapped ? offsets.a : offsets.b, rowStride: k1.b,
      columnStride: n1.b)
    let into = Product.Matrix(BufferID(2), at: offsets.c + start * m1.c, rowStride: m1.c, columnStride: n1.c)
    let isEven = tile * tiles == rowsOfProduct
    let first = Product(
      m: tile, n: n1.extent, k: k1.extent, rowLimit: isEven ? nil : Position(rowsOfProduct) - start, left, right,
      into: into)
    var statements = [Statement.product(first)]
    let steps = outerDepth.reduce(1) { $0 * $1.extent }
    if steps > 1 {
      // Depth that does not lie evenly: one product for each of its outer steps, added to the first.
      let step = LoopVariable(1, below: steps - 1)
      var next = first
      next.accumulates = true
      for (position, axis) in zip(Position.position(of: Position(step) + 1, in: outerDepth.map(\.extent)), outerDepth) {
        next.a.offset = next.a.offset + position * (product.isSwapped ? axis.b : axis.a)
        next.b.offset = next.b.offset + position * (product.isSwapped ? axis.a : axis.b)
      }
      statements.append(.loop(Loop(step, .serial, [.product(next)])))
    }
    var buffers = operands.enumerated().map { Kernel.Buffer("i\($0)", $1.dtype, $1.count, .input) }
    buffers.append(Kernel.Buffer("o0", result.dtype, result.count, .output))
    return Kernel(name: name, buffers: buffers, body: [.loop(Loop(loop, .parallel, statements))])
  }

  /// The three axes of a product; swapped, the operands change places and the result is transposed.
  private struct Sides {
    var m: Axis
    var n: Axis
    var k: Axis
    var isSwapped: Bool

    var swapped: Sides {
      func turned(_ axis: Axis) -> Axis { Axis(extent: axis.extent, a: axis.b, b: axis.a, c: axis.c) }
      return Sides(m: turned(n), n: turned(m), k: turned(k), isSwapped: !isSwapped)
    }

    /// Each matrix moves by single elements along one axis.
    var isEven: Bool {
      (m.a == 1 || k.a == 1 || m.extent == 1 || k.extent == 1) && (n.b == 1 || k.b == 1 || n.extent == 1 || k.extent == 1)
        && (m.c == 1 || n.c == 1 || m.extent == 1 || n.extent == 1)
    }
  }

  /// The longest run of inner axes that act as one, and those outside it.
  private static func merged(_ axes: [Axis]) -> (outer: [Axis], inner: Axis) {
    let axes = axes.filter { $0.extent != 1 }
    guard var inner = axes.last else { return ([], Axis(extent: 1, a: 0, b: 0, c: 0)) }
    var rest = axes.dropLast()
    while let next = rest.last {
      let whole = inner.extent
      guard next.a == inner.a * whole, next.b == inner.b * whole, next.c == inner.c * whole else { break }
      inner.extent *= next.extent
      rest.removeLast()
    }
    return (Array(rest), inner)
  }
}
