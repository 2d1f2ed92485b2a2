import IR
import Ops

/// How much a row holds, from the types of a region's values.
private struct RowWidth {
  let rows: Int
  /// Elements of a row of the widest value, and its last axis as far as it lies in one row.
  private(set) var largest = 1
  private var last = Int.max
  private var lasts: Set<Int> = []

  init(rows: Int) { self.rows = rows }

  mutating func widen(_ type: TensorType) {
    guard type.count % rows == 0, let extent = type.shape.last else { return }
    let inner = type.count / rows
    let axis = min(extent, inner)
    lasts.insert(axis)
    if inner > largest {
      largest = inner
      last = axis
    } else if inner == largest, largest > 1 {
      last = min(last, axis)
    }
  }

  /// Lanes are the last axis of the widest value, or of a narrower one that divides it: then rows of tables that are put
  /// together are planes of the whole.
  var lanes: Int {
    let parts = lasts.filter { $0 >= 16 && $0 < last && last % $0 == 0 && largest / $0 <= RowShapes.mostPlanes }
    return parts.min() ?? last
  }
}

/// Where the elements of a region's values lie, seen from one row.
struct RowLayout {
  let function: Function
  let rows: Int
  /// Elements of a plane, the extent of the vector loops.
  let lanes: Int
  /// No value has lanes: `lanes` rows are computed together.
  let rowsAreLanes: Bool
  /// Pieces the rows are cut into so that sums over rows have a fixed order; 1 where nothing sums over rows.
  let pieces: Int
  /// Rows of a piece.
  let pieceRows: Int

  let parallel: LoopVariable
  /// Runs over the rows of a piece (or its blocks of rows).
  let serial: LoopVariable
  let lane: LoopVariable
  /// The number of the current row.
  let row: Position
  var lanePosition: Position { Position(lane) }

  private let inputs: [Value: Int]
  private let free: [Value: Operation]
  private let rowReduced: Set<Value>
  private let scattered: [Value: Operation]

  init(_ function: Function, rows: Int) throws(Violation) {
    self.function = function
    self.rows = rows
    inputs = Dictionary(uniqueKeysWithValues: function.parameters.enumerated().map { ($1, $0) })
    let returned = Set(function.results)
    free = Dictionary(
      uniqueKeysWithValues: function.operations
        .filter { RowShapes.isFree($0.op) && !returned.contains($0.results[0]) }.map { ($0.results[0], $0) })
    var rowReduced: Set<Value> = []
    var scattered: [Value: Operation] = [:]
    var width = RowWidth(rows: rows)
    for operation in function.operations where free[operation.results[0]] == nil {
      let result = operation.results[0]
      let operands = operation.operands.map { function.type(of: $0) }
      if leadingAxes(reducedBy: operation.op, operands, rows: rows) != nil {
        rowReduced.insert(result)
        for operand in operation.operands where !rowReduced.contains(operand) {
          width.widen(function.type(of: operand))
        }
      } else if operation.op is ScatterRows {
        scattered[result] = operation
        width.widen(function.type(of: operation.operands[2]))
      } else {
        try require(
          function.type(of: result).count % rows == 0, "\(function.type(of: result)) does not fall into \(rows) rows")
        width.widen(function.type(of: result))
        for operand in operation.operands where inputs[operand] != nil && operand != result {
          if operation.op is Reduce || operation.op is Contract {
            width.widen(function.type(of: operand))
          }
        }
      }
    }
    self.rowReduced = rowReduced
    self.scattered = scattered
    let last = width.lanes
    rowsAreLanes = last < 8 || width.largest < 8
    let hasSums = !rowReduced.isEmpty
    let summed = rowReduced.reduce(0) { $0 + function.type(of: $1).count }
    let touched = (function.parameters + function.results).filter { !rowReduced.contains($0) }
      .reduce(0) { $0 + function.type(of: $1).count }
    let wanted = hasSums ? RowSums.pieces(of: rows, summed: summed, touched: touched) : 1
    if rowsAreLanes {
      lanes = min(rows, 256)
      let blocks = (rows + lanes - 1) / lanes
      pieces = RowSums.even(min(wanted, blocks))
      let pieceBlocks = (blocks + pieces - 1) / pieces
      pieceRows = hasSums ? pieceBlocks * lanes : rows
      parallel = LoopVariable(0, below: hasSums ? pieces : blocks)
      serial = LoopVariable(1, below: pieceBlocks)
      lane = LoopVariable(2, below: lanes)
      row = hasSums
        ? Position(parallel) * pieceRows + Position(serial) * lanes + Position(lane)
        : Position(parallel) * lanes + Position(lane)
    } else {
      lanes = last
      pieces = min(wanted, rows)
      pieceRows = hasSums ? (rows + pieces - 1) / pieces : rows
      parallel = LoopVariable(0, below: hasSums ? pieces : rows)
      serial = LoopVariable(1, below: pieceRows)
      lane = LoopVariable(2, below: lanes)
      row = hasSums ? Position(parallel) * pieceRows + Position(serial) : Position(parallel)
    }
  }

  /// The operation that puts the region's rows into a table, if that is what a value is.
  func scatter(making value: Value) -> Operation? { scattered[value] }

  var sumsRows: Bool { !rowReduced.isEmpty }
  func isRowReduced(_ value: Value) -> Bool { rowReduced.contains(value) }
  func buffer(of value: Value) -> BufferID? { inputs[value].map { BufferID($0) } }

  /// The operation of a value that only places or makes up elements: it is written out wherever it is read.
  func freeOperation(making value: Value) -> Operation? { free[value] }

  /// Elements a row of the value has.
  func inner(_ value: Value) -> Int { function.type(of: value).count / rows }

  /// Whether the value is held in planes rather than single elements.
  func isLaned(_ value: Value) -> Bool {
    guard !rowsAreLanes, let last = function.type(of: value).shape.last else { return false }
    return inner(value) % lanes == 0 && min(last, inner(value)) % lanes == 0
  }

  /// How many elements or planes a row of the value has.
  func elements(of value: Value) -> Int { isLaned(value) ? inner(value) / lanes : inner(value) }

  /// The offset of an element or plane of the current row.
  func offset(of element: Int, of value: Value) -> Position {
    let start = row * inner(value)
    return isLaned(value) ? start + lanePosition + element * lanes : start + element
  }

  /// The element or plane of the current row that stands at an offset; `nil` if that is another row or mixes lanes.
  func element(at offset: Position, of value: Value) -> Int? {
    let within = offset - row * inner(value)
    if isLaned(value) {
      guard let start = (within - lanePosition).asConstant, start >= 0, start % lanes == 0 else { return nil }
      return start / lanes < elements(of: value) ? start / lanes : nil
    }
    guard let element = within.asConstant, element >= 0, element < inner(value) else { return nil }
    return element
  }

  /// How many leading axes of its operand an operation sums away that are the rows; `nil` if it does not sum over rows.
  func rowAxes(reducedBy operation: Operation) -> Int? {
    leadingAxes(reducedBy: operation.op, operation.operands.map { function.type(of: $0) }, rows: rows)
  }

  /// Whether a sum over rows leaves whole planes.
  func reducedInLanes(_ value: Value) -> Bool {
    let type = function.type(of: value)
    guard !rowsAreLanes, let last = type.shape.last else { return false }
    return last % lanes == 0
  }

  func reducedElements(of value: Value) -> Int {
    let count = function.type(of: value).count
    return reducedInLanes(value) ? count / lanes : count
  }
}

/// How many leading axes an op reduces, if together they are `rows` and it reduces them all.
func leadingAxes(reducedBy op: any TensorOp, _ operands: [TensorType], rows: Int) -> Int? {
  func count(_ shape: [Int], where isReduced: (Int) -> Bool) -> Int? {
    var product = 1
    for (axis, extent) in shape.enumerated() {
      guard isReduced(axis) else { return nil }
      product *= extent
      if product == rows && extent > 1 { return axis + 1 }
    }
    return nil
  }
  if let reduce = op as? Reduce {
    return count(operands[0].shape) { reduce.axes.contains($0) }
  }
  if let contract = op as? Contract {
    let labels = contract.labels
    let isReduced = { (axis: Int) in
      axis < labels.a.count && axis < labels.b.count && labels.a[axis] == labels.b[axis]
        && !labels.result.contains(labels.a[axis])
    }
    return count(operands[0].shape, where: isReduced)
  }
  return nil
}
