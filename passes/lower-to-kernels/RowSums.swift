import IR
import Ops

/// How sums over rows are made: each piece of rows adds up its own, and the pieces are added in their order.
///
///     parallel piece {
///       vector i { %l0[i] = 0 }   serial row { … vector i { %l0[i] += … } }   vector i { %w0[width · piece + i] = %l0[i] }
///     }
///     parallel i { %w1[…] = the sum of 16 pieces }                   where there are more than 16
///     parallel i { if … { %o0[…] = the sum of what is left } if … }
///
/// A row of a workspace holds all sums of a kind, so that a few loops add up the pieces of all of them.
struct RowSums {
  /// Sums that are added in one way; they share workspaces.
  private struct Kind: Hashable {
    let dtype: DType
    let reduction: Reduction
  }
  private struct Group {
    let kind: Kind
    /// Each sum with the result it becomes, where it stands in a row of the workspace, and its elements.
    var members: [(value: Value, result: BufferID, start: Int, count: Int)] = []
    /// Elements of a row, and how far apart rows are: whole blocks, so that vectors need no limit.
    var width = 0
    var stride: Int { width > RowSums.block ? (width + RowSums.block - 1) / RowSums.block * RowSums.block : width }
    /// What pieces have, and sixteen of them together.
    var pieces = BufferID(0)
    var sums: BufferID?
  }
  /// Elements side by side that the lanes of a loop add up.
  private struct Plane: Hashable {
    let value: Value
    let element: Int
    let lanes: LoopVariable
  }

  private let layout: RowLayout
  private var groups: [Group] = []
  private var locals: [Plane: BufferID] = [:]

  /// Pieces that are added up at once.
  private static let fanIn = 16

  /// Pieces that rows are cut into: enough of them for a GPU, but each with so many rows that what they add up, `summed`
  /// elements each, is little beside the `touched` elements of all rows.
  static func pieces(of rows: Int, summed: Int, touched: Int) -> Int {
    let wanted = min(256, max(rows / 32, min(4, rows / 16)))
    return even(min(wanted, touched / (16 * max(1, summed))))
  }

  /// As many pieces as can be added in steps, at most so many, and at least one.
  static func even(_ pieces: Int) -> Int { pieces > fanIn ? pieces / fanIn * fanIn : max(1, pieces) }

  /// - Parameter buffers: those of the kernel, to which workspaces and locals are added.
  init(
    _ reductions: [RegionLowering.RowReduction], into results: [Value: BufferID], _ layout: RowLayout,
    _ buffers: inout [Kernel.Buffer]
  ) {
    self.layout = layout
    for value in results.keys.sorted() {
      guard let reduction = reductions.first(where: { $0.value == value })?.reduction else { continue }
      let type = layout.function.type(of: value)
      // Pieces of bf16 and f16 sums are not rounded: only the sum is.
      let kind = Kind(dtype: type.dtype.isFloat ? .f32 : type.dtype, reduction: reduction)
      let number = groups.firstIndex { $0.kind == kind } ?? groups.count
      if number == groups.count { groups.append(Group(kind: kind)) }
      groups[number].members.append((value, results[value]!, 0, type.count))
    }
    for number in groups.indices { place(&groups[number], &buffers) }
    for reduction in reductions {
      guard let lanes = reduction.lanes, let group = group(of: reduction.value) else { continue }
      let plane = Plane(value: reduction.value, element: reduction.element, lanes: lanes)
      locals[plane] = BufferID(buffers.count)
      buffers.append(Kernel.Buffer("s\(locals.count - 1)", group.kind.dtype, lanes.extent, .local))
    }
  }

  /// The largest first, so that most of them start where vectors may.
  private func place(_ group: inout Group, _ buffers: inout [Kernel.Buffer]) {
    group.members.sort { ($1.count, $0.value) < ($0.count, $1.value) }
    for member in group.members.indices {
      group.members[member].start = group.width
      group.width += group.members[member].count
    }
    func add(_ rows: Int) -> BufferID {
      let number = buffers.count { $0.role == .workspace }
      buffers.append(Kernel.Buffer("w\(number)", group.kind.dtype, rows * group.stride, .workspace))
      return BufferID(buffers.count - 1)
    }
    group.pieces = add(layout.pieces)
    if layout.pieces > Self.fanIn { group.sums = add(layout.pieces / Self.fanIn) }
  }

  private func group(of value: Value) -> Group? { groups.first { $0.members.contains { $0.value == value } } }

  // MARK: Within a piece

  /// Adds to a plane of a sum.
  func add(_ value: Scalar, to reduction: RegionLowering.RowReduction, along lanes: LoopVariable) -> Statement {
    let local = locals[Plane(value: reduction.value, element: reduction.element, lanes: lanes)]!
    let old = Scalar.load(local, value.type, Position(lanes), guard: nil)
    return .store(local, Position(lanes), reduction.reduction.combine(old, value))
  }

  /// What a piece does before its first row, loop by loop.
  func start() -> [(lanes: LoopVariable, body: [Statement])] {
    eachPlane { plane, kind, local in
      .store(local, Position(plane.lanes), kind.reduction.identity(ScalarType(kind.dtype)))
    }
  }

  /// What a piece does with its planes after its last row.
  func end() -> [(lanes: LoopVariable, body: [Statement])] {
    eachPlane { plane, kind, local in
      .store(
        group(of: plane.value)!.pieces, place(of: plane.value, plane.element * layout.lanes) + Position(plane.lanes),
        .load(local, ScalarType(kind.dtype), Position(plane.lanes), guard: nil))
    }
  }

  /// Keeps a sum that is no plane.
  func keep(_ sum: Scalar, as reduction: RegionLowering.RowReduction) -> Statement {
    .store(group(of: reduction.value)!.pieces, place(of: reduction.value, reduction.element), sum)
  }

  private func eachPlane(
    _ body: (Plane, Kind, _ local: BufferID) -> Statement
  ) -> [(lanes: LoopVariable, body: [Statement])] {
    let planes = locals.sorted { $0.value.index < $1.value.index }
    return Dictionary(grouping: planes, by: \.key.lanes).sorted { $0.key.id < $1.key.id }.map { lanes, planes in
      (lanes, planes.map { body($0.key, group(of: $0.key.value)!.kind, $0.value) })
    }
  }

  /// Where the current piece keeps an element of a sum.
  private func place(of value: Value, _ element: Int) -> Position {
    guard let group = group(of: value), let member = group.members.first(where: { $0.value == value }) else {
      preconditionFailure("a sum over rows has its place")
    }
    return Position(layout.parallel) * group.stride + (member.start + element)
  }

  // MARK: All pieces

  /// The stages that add up the pieces.
  func stages() -> [Statement] {
    let together = groups.compactMap { group in
      group.sums.map { sums in
        let block = min(group.width, Self.block), blocks = group.stride / block
        let count = layout.pieces / Self.fanIn
        let number = LoopVariable(0, below: count * blocks)
        let (row, first) = (Position(number) / blocks, Position(number) % blocks * block)
        return Statement.loop(
          Loop(number, .parallel, [
            sum(
              of: group, group.pieces, from: row * (Self.fanIn * group.stride) + first, rows: Self.fanIn, block: block,
              limit: nil, into: sums, at: row * group.stride + first)
          ]))
      }
    }
    return together + last()
  }

  /// The stage that makes the results.
  private func last() -> [Statement] {
    func blocks(_ count: Int) -> Int { (count + Self.block - 1) / Self.block }
    let all = groups.flatMap { group in group.members.filter { $0.count > 0 }.map { (group: group, member: $0) } }
    let number = LoopVariable(0, below: all.reduce(0) { $0 + blocks($1.member.count) })
    var body: [Statement] = []
    var before = 0
    for (group, member) in all {
      let block = min(member.count, Self.block), own = Position(number) + -before
      let condition = folded(Scalar.position(own).isWithin(blocks(member.count)))
      let (buffer, rows) = group.sums.map { ($0, layout.pieces / Self.fanIn) } ?? (group.pieces, layout.pieces)
      let loop = sum(
        of: group, buffer, from: own * block + member.start, rows: rows, block: block,
        limit: member.count % block == 0 ? nil : Position(member.count) - own * block, into: member.result, at: own * block)
      body.append(condition == .boolean(true) ? loop : .conditional(condition, [loop]))
      before += blocks(member.count)
    }
    return body.isEmpty ? [] : [.loop(Loop(number, .parallel, body))]
  }

  /// Elements that a block of threads adds up.
  private static let block = 256

  /// The loop that adds up rows of a workspace, for `block` elements side by side.
  private func sum(
    of group: Group, _ buffer: BufferID, from start: Position, rows: Int, block: Int, limit: Position?,
    into result: BufferID, at place: Position
  ) -> Statement {
    let lane = LoopVariable(2, below: block), type = ScalarType(group.kind.dtype)
    let pieces = (0..<rows).map { row in
      Scalar.load(buffer, type, start + Position(lane) + row * group.stride, guard: nil)
    }
    let total = pieces.dropFirst().reduce(pieces[0], group.kind.reduction.combine)
    return .loop(
      Loop(lane, .vector(width: 16, unroll: 2), limit: limit, [.store(result, place + Position(lane), total)]))
  }
}
