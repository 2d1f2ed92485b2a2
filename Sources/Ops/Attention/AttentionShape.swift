import IR

/// The sizes of an attention: queries `[batch, queries, groups, repeats, width]`, keys `[batch, keys, groups, width]`, values
/// `[batch, keys, groups, valueWidth]`.
struct AttentionShape {
  let batch, queries, groups, repeats, width: Int
  let keys, valueWidth: Int

  /// The sizes of operands that `infer` has accepted.
  init(_ operands: [TensorType]) {
    let (q, v) = (operands[0].shape, operands[2].shape)
    (batch, queries, groups, repeats, width) = (q[0], q[1], q[2], q[3], q[4])
    (keys, valueWidth) = (v[1], v[3])
  }

  init(checking operands: [TensorType]) throws(Violation) {
    let (q, k, v) = (operands[0], operands[1], operands[2])
    try expectFloat(q, as: "queries")
    try require(q.rank == 5, "wants queries [batch, queries, groups, repeats, width], got \(q)")
    let isKey = k.rank == 4 && k.dtype == q.dtype && [k.shape[0], k.shape[2], k.shape[3]] == [q.shape[0], q.shape[2], q.shape[4]]
    try require(isKey, "wants keys [\(q.shape[0]), keys, \(q.shape[2]), \(q.shape[4])] of \(q.dtype.rawValue), got \(k)")
    let isValue = v.rank == 4 && v.dtype == q.dtype && Array(v.shape.prefix(3)) == Array(k.shape.prefix(3))
    try require(isValue, "wants a value of \(q.dtype.rawValue) for each key of \(k), got \(v)")
    try require(k.shape[1] > 0 || q.count == 0, "wants at least one key, got \(k)")
    self.init(operands)
  }

  /// Rows of queries, and of results.
  var rows: Int { batch * queries * groups * repeats }

  /// The type of what there is one number of for each row: f32.
  var sums: TensorType { .f32(batch, queries, groups, repeats) }

  /// The type of the result: rows as wide as a value.
  func result(_ dtype: DType) -> TensorType { TensorType(dtype, sums.shape + [valueWidth]) }

  /// One row of queries.
  struct Row {
    let number: Int
    let batch, query, group: Int
  }

  var allRows: [Row] {
    (0..<rows).map { number in
      let place = number / repeats
      return Row(number: number, batch: place / groups / max(1, queries), query: place / groups % max(1, queries), group: place % groups)
    }
  }

  /// How many keys a row sees.
  func seen(by row: Row, _ isCausal: Bool) -> Int { isCausal ? min(keys, row.query + 1) : keys }

  /// The number of a row of keys.
  func key(_ row: Row, _ key: Int) -> Int { (row.batch * keys + key) * groups + row.group }

  /// Σ over `width` elements of a row of one tensor and the row of a key in another.
  func dot(_ a: [Double], _ b: [Double], _ row: Row, _ key: Int, _ width: Int) -> Double {
    let (i, j) = (row.number * width, self.key(row, key) * width)
    return (0..<width).reduce(0) { $0 + a[i + $1] * b[j + $1] }
  }
}

/// Tiles of queries and keys, for kernels that go through them.
///
/// All tiles are of one size: where the last one would go past the end it begins earlier, and what it has in common with
/// the one before does not count. Matrices of a tile's scores lie key by key, so that the lanes are queries.
struct AttentionTiles {
  let shape: AttentionShape
  let scale: Double
  let isCausal: Bool
  let queryTile, keyTile: Int
  private let k: KernelBuilder

  init(_ shape: AttentionShape, scale: Double, isCausal: Bool, _ k: KernelBuilder) {
    (self.shape, self.scale, self.isCausal, self.k) = (shape, scale, isCausal, k)
    (queryTile, keyTile) = (max(1, min(64, shape.queries)), max(1, min(64, shape.keys)))
  }

  var queryTiles: Int { pieces(of: shape.queries, by: queryTile) }
  var keyTiles: Int { pieces(of: shape.keys, by: keyTile) }

  /// Where a kernel is: heads, and the first query and key of the tiles, with those that count from.
  struct Place {
    var batch, group, repeated: Position
    var query = Position(0), ownQuery = Position(0)
    var key = Position(0), ownKey = Position(0)
  }

  func local(_ name: String, _ dtype: DType, _ columns: Int) -> BufferID {
    k.buffer(name, dtype, columns * queryTile, .local)
  }

  // MARK: Loops

  /// For each of some columns, a lane for each query of a tile.
  func eachRow(of columns: Int, _ body: (_ row: Position, _ column: Position) -> [Statement]) -> Statement {
    k.loop(below: columns) { column in [k.lanes(below: queryTile) { body($0, column) }] }
  }

  /// A stage with an iteration for every tile of queries of every head; with a causal mask the longest ones first.
  func eachQueryTile(_ body: (Place) -> [Statement]) {
    k.stage(below: queryTiles * shape.batch * shape.groups * shape.repeats) { number in
      let (tile, head) = (number % queryTiles, number / queryTiles)
      let place = Place(
        batch: head / (shape.groups * shape.repeats), group: head / shape.repeats % shape.groups, repeated: head % shape.repeats)
      return at(queryTile: isCausal ? tile * -1 + (queryTiles - 1) : tile, place, body)
    }
  }

  /// A stage with an iteration for every tile of keys of every group.
  func eachKeyTile(_ body: (Place) -> [Statement]) {
    k.stage(below: keyTiles * shape.batch * shape.groups) { number in
      let (tile, group) = (number % keyTiles, number / keyTiles)
      let place = Place(batch: group / shape.groups, group: group % shape.groups, repeated: Position(0))
      return at(keyTile: tile, place, body)
    }
  }

  /// The tiles of keys that a tile of queries sees.
  func eachKeyTile(of place: Place, _ body: (Place) -> [Statement]) -> [Statement] {
    let last = (place.query + (queryTile - 1)) / keyTile + 1
    return [k.loop(below: keyTiles, limit: isCausal ? last : nil) { at(keyTile: $0, place, body) }]
  }

  /// The tiles of queries, of all that share the keys, that see a tile of keys.
  func eachQueryTile(of place: Place, _ body: (Place) -> [Statement]) -> [Statement] {
    let first = isCausal ? place.ownKey / queryTile : Position(0)
    let repeats = k.loop(below: shape.repeats) { number in
      var place = place
      place.repeated = number
      let limit = Position(queryTiles) - first
      return [k.loop(below: queryTiles, limit: isCausal ? limit : nil) { at(queryTile: first + $0, place, body) }]
    }
    return [repeats]
  }

  private func at(queryTile tile: Position, _ place: Place, _ body: (Place) -> [Statement]) -> [Statement] {
    var place = place
    place.ownQuery = tile * queryTile
    return start(place.ownQuery, queryTile, of: shape.queries) { start in
      place.query = start
      return body(place)
    }
  }

  private func at(keyTile tile: Position, _ place: Place, _ body: (Place) -> [Statement]) -> [Statement] {
    var place = place
    place.ownKey = tile * keyTile
    return start(place.ownKey, keyTile, of: shape.keys) { start in
      place.key = start
      return body(place)
    }
  }

  /// Where a tile begins.
  private func start(_ own: Position, _ tile: Int, of extent: Int, _ body: (Position) -> [Statement]) -> [Statement] {
    if extent.isMultiple(of: tile) { return body(own) }
    let (define, start) = k.define(.binary(.minimum, .position(own), .int(extent - tile)))
    return [define] + body(Position(start))
  }

  // MARK: Places

  /// The number of a row of queries.
  func row(_ place: Place, _ row: Position) -> Position {
    let token = place.batch * shape.queries + place.query + row
    return (token * shape.groups + place.group) * shape.repeats + place.repeated
  }

  /// The number of a row of keys.
  func keyRow(_ place: Place, _ row: Position) -> Position {
    (place.batch * shape.keys + place.key + row) * shape.groups + place.group
  }

  /// A tile's rows of a tensor that is laid out as the queries are.
  func queries(_ buffer: BufferID, _ place: Place, _ width: Int) -> Product.Matrix {
    let stride = shape.groups * shape.repeats * width
    return .init(buffer, at: row(place, Position(0)) * width, rowStride: stride, columnStride: 1)
  }
  /// A tile's rows of a tensor that is laid out as the keys are.
  func keys(_ buffer: BufferID, _ place: Place, _ width: Int) -> Product.Matrix {
    .init(buffer, at: keyRow(place, Position(0)) * width, rowStride: shape.groups * width, columnStride: 1)
  }
  /// The same as columns.
  func keysTurned(_ buffer: BufferID, _ place: Place, _ width: Int) -> Product.Matrix { turned(keys(buffer, place, width)) }

  /// A local of `queries × keys`, which lies key by key.
  func matrix(_ local: BufferID) -> Product.Matrix { .init(local, at: Position(0), rowStride: 1, columnStride: queryTile) }
  func turned(_ matrix: Product.Matrix) -> Product.Matrix {
    .init(matrix.buffer, at: matrix.offset, rowStride: matrix.columnStride, columnStride: matrix.rowStride)
  }

  // MARK: Masks

  /// A score, −∞ where the key is hidden from the query, or counted already.
  func score(_ scores: BufferID, _ place: Place, _ row: Position, _ column: Position) -> Scalar {
    let score = k.load(scores, column * queryTile + row) * .float(scale)
    guard let isSeen = isSeen(place, row, column) else { return score }
    return .select(isSeen, score, .float(-.infinity))
  }

  /// Whether a key counts for a query; `nil` where it always does.
  func isSeen(_ place: Place, _ row: Position, _ column: Position) -> Scalar? {
    var conditions: [Scalar] = []
    if isCausal { conditions.append(.compare(.lessOrEqual, .position(place.key + column), .position(place.query + row))) }
    if let own = isOwn(key: column, place) { conditions.append(own) }
    guard let first = conditions.first else { return nil }
    return conditions.dropFirst().reduce(first) { .binary(.and, $0, $1) }
  }

  /// Whether a key, or a query, belongs to this tile and not to the one before as well.
  func isOwn(key column: Position, _ place: Place) -> Scalar? {
    if shape.keys.isMultiple(of: keyTile) { return nil }
    return .compare(.greaterOrEqual, .position(place.key + column), .position(place.ownKey))
  }
  func isOwn(query row: Position, _ place: Place) -> Scalar? {
    if shape.queries.isMultiple(of: queryTile) { return nil }
    return .compare(.greaterOrEqual, .position(place.query + row), .position(place.ownQuery))
  }

  func ifOwn(query row: Position, _ place: Place, _ body: [Statement]) -> [Statement] {
    isOwn(query: row, place).map { [.conditional($0, body)] } ?? body
  }
  func ifOwn(key row: Position, _ place: Place, _ body: [Statement]) -> [Statement] {
    isOwn(key: row, place).map { [.conditional($0, body)] } ?? body
  }
}
