import IR
import Ops
import Passes
import TestSupport

/// Writes small random programs that are valid and tame: numbers stay moderate, and whatever jumps (comparisons, sorting,
/// rounding to integers) is only asked of values that every order of computation gives alike.
struct RandomProgram {
  private(set) var builder = FunctionBuilder(name: "f")
  private var random: Seeded
  /// Values to go on from.
  private var pool: [Value] = []
  /// Values that no rewrite may change by a rounding error: moved about, never computed.
  private var isExact: Set<Value> = []
  private var used: Set<Value> = []
  /// Whether something is rounded to 16 bits.
  private(set) var hasHalves = false
  /// The extents of this program's axes, so that shapes meet.
  private let extents: [Int]

  /// Ids are drawn below this.
  static let ids: Int64 = 6

  init(seed: UInt64, operations: Int) {
    random = Seeded(seed)
    var extents = [1]
    for choices in [[2, 3, 4], [5, 7, 12], [16, 24, 33], [3, 8, 64]] { extents.append(choices.randomElement(using: &random)!) }
    self.extents = extents
    for _ in 0..<Int.random(in: 2...4, using: &random) { addParameter(TensorType(.f32, shape(rank: Int.random(in: 1...3, using: &random)))) }
    if one(in: 2) { addParameter(TensorType(.i64, shape(rank: Int.random(in: 1...2, using: &random)))) }
    var made = 0
    while made < operations {
      let before = builder.function.operations.count
      step()
      made += max(1, builder.function.operations.count - before)
    }
    finish()
  }

  var function: Function { builder.function }

  // MARK: Choosing

  private mutating func one(in chances: Int) -> Bool { Int.random(in: 0..<chances, using: &random) == 0 }

  private mutating func shape(rank: Int) -> [Int] {
    var shape: [Int] = []
    for _ in 0..<rank {
      let extent = extents.randomElement(using: &random)!
      shape.append(shape.reduce(extent, *) <= Self.mostElements ? extent : 1)
    }
    return shape
  }

  private static let mostElements = 3000

  private func type(_ value: Value) -> TensorType { builder.function.type(of: value) }

  private mutating func pick(where isWanted: (TensorType) -> Bool = { _ in true }) -> Value? {
    let wanted = pool.filter { type($0).rows == nil && isWanted(type($0)) }
    // The latest values are taken more often, so that programs grow long.
    let recent = wanted.suffix(6)
    return one(in: 2) ? recent.randomElement(using: &random) : wanted.randomElement(using: &random)
  }

  private mutating func pickFloat() -> Value? { pick { $0.dtype == .f32 } }
  private mutating func pickExact() -> Value? {
    let exact = isExact
    let wanted = pool.filter { exact.contains($0) && type($0).rows == nil }
    return wanted.randomElement(using: &random)
  }

  @discardableResult
  private mutating func addParameter(_ type: TensorType) -> Value {
    let value = builder.parameter(type, name: "x\(builder.function.parameters.count)")
    pool.append(value)
    isExact.insert(value)
    return value
  }

  /// A value of a type: one there is, one that can be repeated to it, or a new parameter.
  private mutating func value(of wanted: TensorType) -> Value {
    let same = pool.filter { type($0) == wanted }
    if let value = same.randomElement(using: &random), !one(in: 4) { return value }
    if wanted.rank > 0, !one(in: 3) {
      let axes = (0..<wanted.rank).filter { _ in one(in: 2) }
      let kept = wanted.shape.indices.filter { !axes.contains($0) }.map { wanted.shape[$0] }
      let small = pool.filter { type($0) == wanted.with(shape: kept) }.randomElement(using: &random)
      let operand = small ?? addParameter(wanted.with(shape: kept))
      return emit(Broadcast(axes: axes, shape: wanted.shape), operand)
    }
    if one(in: 5), wanted.dtype == .f32 {
      let number = [0, 1, -1, 2, 0.5, 3].randomElement(using: &random)!
      return emit(Constant(number, wanted))
    }
    return addParameter(wanted)
  }

  // MARK: Emitting

  /// Emits an op that is right by construction and puts its results into the pool.
  @discardableResult
  private mutating func emit(_ op: any TensorOp, exact: Bool? = nil, _ operands: Value...) -> Value {
    emitAll(op, exact: exact, operands)[0]
  }

  @discardableResult
  private mutating func emitAll(_ op: any TensorOp, exact: Bool? = nil, _ operands: [Value]) -> [Value] {
    do {
      let results = try builder.emit(op, operands)
      used.formUnion(operands)
      pool += results
      let stays = exact ?? operands.allSatisfy { isExact.contains($0) }
      if stays { isExact.formUnion(results) }
      if results.contains(where: { type($0).dtype.size == 2 }) { hasHalves = true }
      return results
    } catch {
      preconditionFailure("the generator writes valid programs: \(error)")
    }
  }

  private mutating func constant(_ number: Double, like value: Value) -> Value { emit(Constant(number, type(value))) }

  // MARK: Steps

  private mutating func step() {
    switch Int.random(in: 0..<26, using: &random) {
    case 0...2: unary()
    case 3...7: binary()
    case 8: choose()
    case 9: convert()
    case 10...11: reduce()
    case 12: reshape()
    case 13: transpose()
    case 14: slice()
    case 15: pad()
    case 16: concatenate()
    case 17: broadcast()
    case 18...19: contract()
    case 20: gather()
    case 21: scatter()
    case 22: order()
    case 23: rows()
    case 24: normalise()
    default: integers()
    }
  }

  private mutating func unary() {
    guard let x = pickFloat() else { return }
    switch Int.random(in: 0..<8, using: &random) {
    case 0: emit(Unary(.negate), x)
    case 1: emit(Unary(.absolute), x)
    case 2: emit(Unary(.exponential), exact: false, emit(Unary(.tanh), exact: false, x))
    case 3: emit(Unary(.sigmoid), exact: false, x)
    case 4: emit(Unary(.sine), exact: false, x)
    case 5: emit(Unary(.logarithm), exact: false, away(x))
    case 6: emit(Unary(.reciprocalSquareRoot), exact: false, away(x))
    default: emit(StopGradient(), x)
    }
  }

  /// `|x| + ½`: may be divided by, or asked for a logarithm.
  private mutating func away(_ x: Value) -> Value {
    let half = constant(0.5, like: x)
    return emit(Binary(.add), exact: false, emit(Unary(.absolute), x), half)
  }

  private mutating func binary() {
    guard let x = pickFloat() else { return }
    if one(in: 4) {
      let number = [0, 1, -1, 2, 0.25, 3, 4].randomElement(using: &random)!
      let c = constant(number, like: x)
      switch Int.random(in: 0..<7, using: &random) {
      case 0: emit(Binary(.add), exact: false, x, c)
      case 1: emit(Binary(.multiply), exact: false, c, x)
      case 2: emit(Binary(.multiply), exact: false, x, c)
      case 3: emit(Binary(.subtract), exact: false, one(in: 2) ? c : x, one(in: 2) ? c : x)
      case 4: emit(Binary(.maximum), x, c)
      case 5: emit(Binary(.power), exact: false, away(emit(Unary(.tanh), exact: false, x)), c)
      default:
        let divisor = constant([1, 2, 0.5, 3, -4].randomElement(using: &random)!, like: x)
        emit(Binary(.divide), exact: false, x, divisor)
      }
      return
    }
    let y = one(in: 8) ? x : value(of: type(x))
    switch Int.random(in: 0..<7, using: &random) {
    case 0, 1: emit(Binary(.add), exact: false, x, y)
    case 2: emit(Binary(.subtract), exact: false, x, y)
    case 3, 4: emit(Binary(.multiply), exact: false, x, emit(Unary(.tanh), exact: false, y))
    case 5: emit(Binary(one(in: 2) ? .maximum : .minimum), x, y)
    default: emit(Binary(.divide), exact: false, x, away(y))
    }
  }

  private mutating func choose() {
    guard let a = pickExact(), type(a).dtype != .bool else { return }
    let condition = emit(Compare(Comparison.allCases.randomElement(using: &random)!), exact: true, a, emitZero(a))
    let wanted = type(a).with(.f32)
    let negated = one(in: 3) ? emit(Unary(.not), exact: true, condition) : condition
    emit(Select(), negated, value(of: wanted), value(of: wanted))
  }

  private mutating func emitZero(_ value: Value) -> Value {
    let type = type(value)
    return emit(type.dtype.isFloat ? Constant(0, type) : Constant(integer: 2, type))
  }

  private mutating func convert() {
    if one(in: 2), let x = pickExact() {
      let target = DType.allCases.randomElement(using: &random)!
      let y = emit(Cast(target), exact: !type(x).dtype.isFloat && target != .bf16 && target != .f16, x)
      emit(Cast(.f32), exact: false, y)
    } else if let x = pickFloat() {
      let half: DType = one(in: 2) ? .bf16 : .f16
      let y = emit(Cast(half), exact: false, emit(Unary(.tanh), exact: false, x))
      let z = one(in: 2) ? emit(Binary(.multiply), exact: false, y, y) : y
      emit(Cast(.f32), exact: false, z)
    }
  }

  private mutating func someAxes(_ rank: Int) -> [Int] { (0..<rank).filter { _ in one(in: 2) } }

  private mutating func reduce() {
    guard let x = pickFloat() else { return }
    let axes = someAxes(type(x).rank)
    let isEmpty = axes.contains { type(x).shape[$0] == 0 }
    switch Int.random(in: 0..<5, using: &random) {
    case 0 where !isEmpty: emit(Reduce(.maximum, axes: axes), x)
    case 1 where !isEmpty: emit(Reduce(.minimum, axes: axes), x)
    default:
      let small = emit(Binary(.multiply), exact: false, x, constant(0.125, like: x))
      let sum = emit(Reduce(.sum, axes: axes), exact: false, small)
      if one(in: 2) { emit(Broadcast(axes: axes, shape: type(x).shape), exact: false, sum) }
    }
  }

  private mutating func reshape() {
    guard let x = pick() else { return }
    var shape = type(x).shape
    switch Int.random(in: 0..<4, using: &random) {
    case 0: shape.insert(1, at: Int.random(in: 0...shape.count, using: &random))
    case 1: shape.removeAll { $0 == 1 }
    case 2 where shape.count >= 2:
      let axis = Int.random(in: 0..<(shape.count - 1), using: &random)
      shape.replaceSubrange(axis...(axis + 1), with: [shape[axis] * shape[axis + 1]])
    default:
      guard let axis = shape.indices.randomElement(using: &random) else { return }
      let divisors = (1...max(1, shape[axis])).filter { shape[axis] % $0 == 0 && shape[axis] > 0 }
      guard let divisor = divisors.randomElement(using: &random) else { return }
      shape.replaceSubrange(axis...axis, with: [shape[axis] / divisor, divisor])
    }
    emit(Reshape(shape: shape), x)
  }

  private mutating func transpose() {
    guard let x = pick() else { return }
    emit(Transpose(permutation: Array(0..<type(x).rank).shuffled(using: &random)), x)
  }

  private mutating func slice() {
    guard let x = pick(where: { $0.rank > 0 }) else { return }
    let shape = type(x).shape
    if one(in: 3) {
      // Cut in two: the gradient of it is a sum of pads.
      let axis = Int.random(in: 0..<shape.count, using: &random)
      let cut = Int.random(in: 0...shape[axis], using: &random)
      var (limits, starts) = (shape, shape.map { _ in 0 })
      limits[axis] = cut
      starts[axis] = cut
      let parts = [
        emit(Slice(starts: shape.map { _ in 0 }, limits: limits), x), emit(Slice(starts: starts, limits: shape), x),
      ]
      if one(in: 2) { emitAll(Concatenate(axis: axis), one(in: 2) ? parts : parts.reversed()) }
      return
    }
    let starts = shape.map { one(in: 2) ? 0 : Int.random(in: 0...$0, using: &random) }
    let limits = shape.indices.map { one(in: 2) ? shape[$0] : Int.random(in: starts[$0]...shape[$0], using: &random) }
    let strides = shape.map { _ in one(in: 4) ? Int.random(in: 1...3, using: &random) : 1 }
    emit(Slice(starts: starts, limits: limits, strides: strides), x)
  }

  private mutating func pad() {
    guard let x = pick(where: { $0.count < 1000 }) else { return }
    let rank = type(x).rank
    var (low, high) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
    for axis in 0..<rank where one(in: 2) {
      low[axis] = Int.random(in: 0...2, using: &random)
      high[axis] = Int.random(in: 0...2, using: &random)
    }
    emit(Pad(low: low, high: high), x)
  }

  private mutating func concatenate() {
    guard let x = pick(where: { $0.rank > 0 && $0.count < 1500 }) else { return }
    let axis = Int.random(in: 0..<type(x).rank, using: &random)
    var other = type(x)
    other.shape[axis] = extents.randomElement(using: &random)!
    guard other.count < 1500 else { return }
    var parts = [x, value(of: other)]
    if one(in: 3) { parts.append(x) }
    emitAll(Concatenate(axis: axis), parts.shuffled(using: &random))
  }

  private mutating func broadcast() {
    guard let x = pick(where: { $0.count < 700 && $0.rank < 5 }) else { return }
    var shape = type(x).shape
    let axis = Int.random(in: 0...shape.count, using: &random)
    shape.insert(extents.randomElement(using: &random)!, at: axis)
    guard shape.reduce(1, *) <= Self.mostElements else { return }
    emit(Broadcast(axes: [axis], shape: shape), x)
  }

  private mutating func contract() {
    guard let x = pick(where: { $0.dtype == .f32 && $0.rank <= 4 }) else { return }
    let labels = Array("abcd".prefix(type(x).rank))
    // What each label of x is for: summed, kept, batch, or summed by itself.
    var (other, result): ([Character], [Character]) = ([], [])
    var extent = Dictionary(uniqueKeysWithValues: zip(labels, type(x).shape))
    for label in labels {
      switch Int.random(in: 0..<7, using: &random) {
      case 0, 1, 2: other.append(label)
      case 3, 4: result.append(label)
      case 5:
        other.append(label)
        result.append(label)
      default: break
      }
    }
    if one(in: 2) {
      extent["n"] = extents.randomElement(using: &random)!
      other.append("n")
      if !one(in: 8) { result.append("n") }
    }
    other.shuffle(using: &random)
    if one(in: 2) { result.shuffle(using: &random) }
    let shape = other.map { extent[$0]! }
    let all = Set(labels + other).reduce(1) { $0 * extent[$1]! }
    guard shape.reduce(1, *) <= Self.mostElements, result.reduce(1, { $0 * extent[$1]! }) <= Self.mostElements, all < 60_000
    else { return }
    let y = value(of: TensorType(.f32, shape))
    let small = emit(Binary(.multiply), exact: false, x, constant(0.125, like: x))
    let isSwapped = one(in: 2)
    let lists = isSwapped ? (other, labels) : (labels, other)
    let equation = "\(String(lists.0)),\(String(lists.1))->\(String(result))"
    emitAll(Contract(equation), exact: false, isSwapped ? [y, small] : [small, y])
  }

  private mutating func gather() {
    guard let ids = pick(where: { $0.dtype == .i64 && $0.count <= 60 }), isExact.contains(ids) else {
      addParameter(TensorType(.i64, shape(rank: 1)))
      return
    }
    if one(in: 2) {
      let table = value(of: TensorType(.f32, [5, extents.randomElement(using: &random)!]))
      guard type(ids).count * type(table).shape[1] <= Self.mostElements else { return }
      emit(Gather(), table, ids)
    } else if type(ids).rank > 0 {
      let x = value(of: TensorType(.f32, type(ids).shape.dropLast() + [7]))
      emit(GatherElements(), x, ids)
    }
  }

  private mutating func scatter() {
    guard let ids = pick(where: { $0.dtype == .i64 && $0.rank == 1 && $0.count <= 60 }), isExact.contains(ids) else { return }
    let values = value(of: .f32(type(ids).count, 3))
    switch Int.random(in: 0..<3, using: &random) {
    case 0: emit(ScatterAdd(rows: 5), exact: false, ids, values)
    case 1: emit(SegmentSum(segments: 4), exact: false, ids, values)
    default: emit(ScatterElements(extent: 5), exact: false, ids, value(of: .f32(type(ids).count)))
    }
  }

  private mutating func order() {
    guard let x = pickExact(), type(x).dtype == .f32, type(x).rank > 0, type(x).shape.last! > 0 else {
      guard let x = pickFloat(), type(x).rank > 0 else { return }
      let small = emit(Binary(.multiply), exact: false, x, constant(0.125, like: x))
      let axis = Int.random(in: 0..<type(x).rank, using: &random)
      emit(CumulativeSum(axis: axis, exclusive: one(in: 2), reversed: one(in: 2)), exact: false, small)
      return
    }
    switch Int.random(in: 0..<3, using: &random) {
    case 0: emitAll(TopK(Int.random(in: 0...type(x).shape.last!, using: &random)), [x])
    case 1: emitAll(Sort(descending: one(in: 2)), [x])
    default: emit(ArgMax(axis: type(x).rank - 1), x)
    }
  }

  /// A row-sparse tensor, made, perhaps joined or merged, and taken apart or written out.
  private mutating func rows() {
    let count = extents[1]
    let ids = value(of: .i64(count))
    guard isExact.contains(ids) else { return }
    let values = value(of: .f32(count, 3))
    var rows = emit(MakeRows(rows: 5), exact: false, ids, values)
    if one(in: 2) { rows = emitAll(ConcatenateRows(), exact: false, [rows, emit(MakeRows(rows: 5), exact: false, ids, value(of: type(values)))])[0] }
    if one(in: 2) { rows = emit(MergeRows(), exact: false, rows) }
    switch Int.random(in: 0..<3, using: &random) {
    case 0: emit(Densify(), exact: false, rows)
    case 1: emit(RowValues(), exact: false, rows)
    default:
      emit(RowIDs(), exact: true, rows)
    }
  }

  /// What models are made of: a norm or a softmax along the last axis.
  private mutating func normalise() {
    guard let x = pick(where: { $0.dtype == .f32 && $0.rank > 0 && $0.shape.last! > 0 }) else { return }
    let (shape, last) = (type(x).shape, type(x).rank - 1)
    if one(in: 2) {
      let largest = emit(StopGradient(), emit(Reduce(.maximum, axes: [last]), x))
      let shifted = emit(Binary(.subtract), exact: false, x, emit(Broadcast(axes: [last], shape: shape), largest))
      let weights = emit(Unary(.exponential), exact: false, shifted)
      let total = emit(Broadcast(axes: [last], shape: shape), exact: false, emit(Reduce(.sum, axes: [last]), exact: false, weights))
      emit(Binary(.divide), exact: false, weights, total)
    } else {
      let square = emit(Binary(.multiply), exact: false, x, x)
      let sum = emit(Reduce(.sum, axes: [last]), exact: false, square)
      let mean = emit(Binary(.multiply), exact: false, sum, constant(1 / Double(shape[last]), like: sum))
      let scale = emit(Unary(.reciprocalSquareRoot), exact: false, away(mean))
      emit(Binary(.multiply), exact: false, x, emit(Broadcast(axes: [last], shape: shape), exact: false, scale))
    }
  }

  private mutating func integers() {
    guard let x = pick(where: { $0.dtype == .i64 || $0.dtype == .i32 || $0.dtype == .u8 }), isExact.contains(x) else {
      emit(Iota(axis: 0, type: TensorType(.i64, [extents.randomElement(using: &random)!])), exact: true)
      return
    }
    let functions: [BinaryFunction] = [.add, .subtract, .multiply, .divide, .remainder, .maximum, .and, .or, .xor, .shiftLeft]
    let number = Int64.random(in: -1...3, using: &random)
    let y = one(in: 3) ? x : emit(Constant(integer: number, type(x)))
    emit(Binary(functions.randomElement(using: &random)!), exact: true, x, y)
  }

  // MARK: The end

  /// Returns some of what nothing reads, and some of the rest.
  private mutating func finish() {
    let pool = pool.filter { type($0).rows == nil }
    let unread = pool.filter { !used.contains($0) && !builder.function.parameters.contains($0) }
    var results = unread.filter { _ in !one(in: 3) }
    if results.isEmpty, let last = pool.last { results = [last] }
    if one(in: 3), let more = pool.randomElement(using: &random), !results.contains(more) { results.append(more) }
    builder.function.results = results
  }

  /// The program with its gradients: the float results, or their sums, differentiated with respect to the float parameters.
  mutating func differentiated() throws -> Function? {
    let function = builder.function
    let floats = function.parameters.indices.filter { function.type(of: function.parameters[$0]).dtype == .f32 }
    let results = function.results.indices.filter {
      let type = function.type(of: function.results[$0])
      return type.dtype == .f32 && type.rows == nil
    }
    guard !floats.isEmpty, !results.isEmpty else { return nil }
    return try function.differentiated(named: "f", from: .cotangents(results: Array(results)), withRespectTo: Array(floats))
  }
}
