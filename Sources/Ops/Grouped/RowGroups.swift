import IR

/// Rows that lie in groups, one after the other: how many belong to each group is known to the kernel only.
///
/// The rows of a group are done in tiles of nearly the same height, as few as a largest height allows. Which tile is
/// which is a table in memory; its length is bounded, for every group leaves at most one tile unfinished. Sizes below zero
/// count as zero, and what goes beyond the last row is cut off.
struct RowGroups {
  let rows: Int
  let groups: Int
  private let sizes: BufferID
  private let k: KernelBuilder

  init(rows: Int, groups: Int, sizes: BufferID, _ k: KernelBuilder) {
    (self.rows, self.groups, self.sizes, self.k) = (rows, groups, sizes, k)
  }

  /// Most rows of a tile: more than a group has on average, so that few groups are cut and few matrices are read twice.
  var tile: Int {
    let average = max(1, rows / max(1, groups))
    var tile = 16
    while tile < 2 * average && tile < 512 { tile *= 2 }
    return tile
  }

  /// Most tiles there can be, those of the rows that belong to no group among them.
  var tiles: Int { (rows + min(groups + 1, rows) * (tile - 1)) / tile }

  /// One tile, as a kernel reads it from the table.
  struct Tile {
    /// The group, −1 for rows that belong to none.
    let group: Variable
    let first: Variable
    /// Its rows; 0 where the table has fewer tiles than it could have.
    let count: Variable
  }

  /// A stage that writes the table of tiles.
  func emitTable() -> BufferID {
    let table = k.buffer("tiles", .i64, max(1, 3 * tiles), .workspace)
    let state = k.buffer("state", .i64, 2, .local)
    let (row, next) = (Position(0), Position(1))
    let most = pieces(of: rows, by: tile)

    /// The tiles of `size` rows from the next row on.
    func write(_ group: Scalar, _ start: Variable, _ size: Variable) -> [Statement] {
      let (defineNext, first) = k.define(k.load(state, next))
      let (defineFewest, fewest) = k.define(.position((Position(size) + (tile - 1)) / tile))
      let share = Scalar.position(Position(size) + Position(fewest) + -1)
      let (defineEven, even) = k.define(.binary(.divide, share, .variable(fewest)))
      let (defineHeight, height) = k.define(.position((Position(even) + 15) / 16 * 16))
      let (defineCount, count) = k.define(.binary(.divide, .position(Position(size) + Position(height) + -1), .variable(height)))
      let write = k.loop(below: most, limit: Position(count)) { number in
        let entry = (Position(first) + number) * 3
        let skipped = Scalar.binary(.multiply, .position(number), .variable(height))
        let (defineSkipped, before) = k.define(skipped)
        return [
          defineSkipped, .store(table, entry, group),
          .store(table, entry + 1, .position(Position(start) + Position(before))),
          .store(table, entry + 2, .binary(.minimum, .variable(height), .position(Position(size) - Position(before)))),
        ]
      }
      return [
        defineNext, defineFewest, defineEven, defineHeight, defineCount, write, .store(state, row, .position(Position(start) + Position(size))),
        .store(state, next, .position(Position(first) + Position(count))),
      ]
    }
    k.stage(below: 1) { _ in
      let each = k.loop(below: groups) { group in
        let (defineStart, start) = k.define(k.load(state, row))
        let wanted = Scalar.binary(.maximum, k.load(sizes, group).wide, .int(0))
        let (defineSize, size) = k.define(.binary(.minimum, wanted, .position(Position(rows) - Position(start))))
        return [defineStart, defineSize] + write(.position(group), start, size)
      }
      let (defineStart, start) = k.define(k.load(state, row))
      let (defineSize, size) = k.define(.position(Position(rows) - Position(start)))
      let (defineLast, last) = k.define(k.load(state, next))
      let empty = k.loop(below: tiles, limit: Position(tiles) - Position(last)) { number in
        let entry = (Position(last) + number) * 3
        return (0..<3).map { .store(table, entry + $0, .int(0)) }
      }
      return [.store(state, row, .int(0)), .store(state, next, .int(0)), each, defineStart, defineSize]
        + write(.int(-1), start, size) + [defineLast, empty]
    }
    return table
  }

  /// A stage that goes through the tiles of a table, in an order by which neighbouring pieces of the stage, which threads
  /// share, have equally many of the empty tiles at its end: in steps of the golden section.
  func eachTile(of table: BufferID, _ body: (Tile) -> [Statement]) {
    var step = max(1, Int(0.618 * Double(tiles)))
    while step > 1 && !step.isCoprime(to: tiles) { step -= 1 }
    k.stage(below: tiles) { number in
      let entry = (number * step) % max(1, tiles) * 3
      let (defineGroup, group) = k.define(k.load(table, entry))
      let (defineFirst, first) = k.define(k.load(table, entry + 1))
      let (defineCount, count) = k.define(k.load(table, entry + 2))
      return [defineGroup, defineFirst, defineCount] + body(Tile(group: group, first: first, count: count))
    }
  }

  /// A stage that writes where each group starts, and where the last one ends.
  func emitStarts() -> BufferID {
    let starts = k.buffer("starts", .i64, groups + 1, .workspace)
    k.stage(below: 1) { _ in
      let each = k.loop(below: groups) { group in
        let (defineStart, start) = k.define(k.load(starts, group))
        let wanted = Scalar.binary(.maximum, k.load(sizes, group).wide, .int(0))
        let size = Scalar.binary(.minimum, wanted, .position(Position(rows) - Position(start)))
        return [defineStart, .store(starts, group + 1, .binary(.add, .variable(start), size))]
      }
      return [.store(starts, Position(0), .int(0)), each]
    }
    return starts
  }
}

extension Int {
  fileprivate func isCoprime(to other: Int) -> Bool {
    var (a, b) = (self, other)
    while b != 0 { (a, b) = (b, a % b) }
    return a == 1
  }
}

extension Array where Element == Int64 {
  /// The rows of each group, as `RowGroups` cuts them, from the groups' sizes.
  func rowGroups(of rows: Int) -> [Range<Int>] {
    var start = 0
    return map { size in
      let end = start + Int(Swift.min(Swift.max(size, 0), Int64(rows - start)))
      defer { start = end }
      return start..<end
    }
  }
}
