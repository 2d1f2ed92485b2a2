import IR
import Ops

/// Into how many rows an operation may be cut.
///
/// A tensor of `N` elements cut into `R` rows has rows of `N / R` neighbouring elements. An operation is *row-wise* for
/// `R` if each row of its result needs, of an operand, only that same row. What an operation reads from outside its
/// region may lie anywhere; only what passes between two operations of a region must be row-wise.
struct RowShapes {
  /// Most planes or scalars of one row that a kernel may unroll.
  static let mostPlanes = 64

  /// Products of the leading axes: numbers of rows that cut a shape between two axes.
  static func prefixes(_ shape: some Sequence<Int>) -> Set<Int> {
    var products: Set<Int> = [1]
    var product = 1
    for extent in shape {
      product *= extent
      products.insert(product)
    }
    return products
  }

  /// Numbers of rows that leave few enough planes in each row.
  static func affordable(_ type: TensorType) -> (Int) -> Bool {
    let last = max(1, type.shape.last ?? 1)
    return { rows in
      guard rows > 0, type.count % rows == 0 else { return false }
      let inner = type.count / rows
      return inner <= mostPlanes || (inner % last == 0 && last >= 8 && inner / last <= mostPlanes)
    }
  }

  /// The numbers of rows into which an operation may be cut by itself; empty where it can be no part of a region.
  static func own(_ op: any TensorOp, _ operands: [TensorType], _ results: [TensorType]) -> Set<Int> {
    guard results.count == 1, results[0].rows == nil, results[0].count > 0, operands.allSatisfy({ $0.rows == nil && $0.count > 0 })
    else { return [] }
    if let scatter = op as? ScatterRows { return scatteredRows(scatter, operands) }
    guard case .formula = op.lower(operands) else { return [] }
    let result = results[0]
    if let reduce = op as? Reduce {
      let whole = operands[0]
      let kept = whole.shape.indices.prefix { !reduce.axes.contains($0) }
      let rowWise = prefixes(kept.map { whole.shape[$0] })
      let summed = whole.shape.indices.prefix { reduce.axes.contains($0) }
      let rows = rowWise.union(summed.isEmpty ? [] : prefixes(summed.map { whole.shape[$0] }).subtracting([1]))
      return rows.filter(affordable(whole))
    }
    if let contract = op as? Contract {
      guard contract.isRowResident else { return [] }
      return contractRows(contract, operands, result)
    }
    return prefixes(result.shape).filter(affordable(result))
  }

  /// Rows that go each to a place of its own in a table end a region: one for each pair of number and row.
  private static func scatteredRows(_ op: ScatterRows, _ operands: [TensorType]) -> Set<Int> {
    let values = operands[2]
    // Shorter rows would be lanes themselves, and lanes cannot go to places of their own.
    guard op.isDistinct, values.rank == 2, values.shape[1] >= 16, values.dtype.isFloat else { return [] }
    return [values.shape[0]].filter { $0 > 1 && affordable(values)($0) }.reduce(into: []) { $0.insert($1) }
  }

  private static func contractRows(_ op: Contract, _ operands: [TensorType], _ result: TensorType) -> Set<Int> {
    let labels = op.labels
    var extents: [Character: Int] = [:]
    for (label, extent) in zip(labels.a + labels.b, operands[0].shape + operands[1].shape) { extents[label] = extent }
    let work = extents.values.reduce(1, *)
    let last = max(operands[0].shape.last ?? 1, operands[1].shape.last ?? 1)
    // What one row takes, unrolled, is bounded as in other operations, but products may be twice as many.
    let isAffordable = { (rows: Int) in work / rows <= 4 * mostPlanes * max(1, last) }
    var rows: Set<Int> = []
    var product = 1
    for (axis, label) in labels.result.enumerated() {
      let leads = (labels.a.count > axis && labels.a[axis] == label) || (labels.b.count > axis && labels.b[axis] == label)
      guard leads else { break }
      product *= result.shape[axis]
      rows.insert(product)
    }
    product = 1
    for (axis, label) in labels.a.enumerated() {
      guard axis < labels.b.count, labels.b[axis] == label, !labels.result.contains(label) else { break }
      product *= operands[0].shape[axis]
      rows.insert(product)
    }
    return rows.filter { $0 > 1 && isAffordable($0) }
  }

  /// The numbers of rows for which operand `number` is read row by row.
  static func edge(_ op: any TensorOp, _ number: Int, _ operands: [TensorType], _ result: TensorType) -> Set<Int> {
    let operand = operands[number]
    switch op {
    case let op as Broadcast:
      let kept = result.shape.indices.prefix { !op.axes.contains($0) }
      return prefixes(kept.map { result.shape[$0] })
    case is Reshape: return prefixes(operand.shape).union(prefixes(result.shape))
    case let op as Transpose:
      let kept = op.permutation.indices.prefix { op.permutation[$0] == $0 }
      return prefixes(kept.map { result.shape[$0] })
    case is Slice, is Pad, is Concatenate:
      let kept = result.shape.indices.prefix { result.shape[$0] == operand.shape[$0] }
      return prefixes(kept.map { result.shape[$0] })
    case let op as Reduce:
      let kept = operand.shape.indices.prefix { !op.axes.contains($0) }
      let summed = operand.shape.indices.prefix { op.axes.contains($0) }
      return prefixes(kept.map { operand.shape[$0] }).union(prefixes(summed.map { operand.shape[$0] }))
    case is ArgMax, is TopMask: return prefixes(operand.shape.dropLast())
    case let op as Contract:
      let labels = number == 0 ? op.labels.a : op.labels.b
      let other = number == 0 ? op.labels.b : op.labels.a
      let kept = labels.indices.prefix { $0 < op.labels.result.count && op.labels.result[$0] == labels[$0] }
      let summed = labels.indices.prefix {
        $0 < other.count && other[$0] == labels[$0] && !op.labels.result.contains(labels[$0])
      }
      return prefixes(kept.map { operand.shape[$0] }).union(prefixes(summed.map { operand.shape[$0] }))
    case is Gather:
      return number == 0 ? [] : prefixes(operand.shape)
    case is ScatterRows: return number == 0 ? [] : [operand.shape[0]]
    case is GatherElements: return prefixes(operand.shape.dropLast())
    default:
      return operand.shape == result.shape ? prefixes(result.shape) : []
    }
  }

  /// Whether the op sums over rows when cut into `rows`: its result then leaves the region.
  static func sums(_ op: any TensorOp, _ operands: [TensorType], rows: Int) -> Bool {
    leadingAxes(reducedBy: op, operands, rows: rows) != nil
  }

  /// Whether what the op makes leaves the region that makes it: sums over its rows, and tables it changes rows of.
  static func leaves(_ op: any TensorOp, _ operands: [TensorType], rows: Int) -> Bool {
    op is ScatterRows || sums(op, operands, rows: rows)
  }

  /// The types that say how a row of the op is laid out: all but tables, of which it only takes or changes some rows.
  static func rowTypes(_ op: any TensorOp, _ operands: [TensorType], _ results: [TensorType]) -> [TensorType] {
    switch op {
    case is Gather: results + operands.dropFirst()
    case is ScatterRows: Array(operands.dropFirst())
    default: results + operands
    }
  }

  /// Operations that cost nothing to repeat where they are read: they only place or make up elements.
  static func isFree(_ op: any TensorOp) -> Bool {
    op is Broadcast || op is Reshape || op is Constant || op is Iota || op is Slice
  }
}
