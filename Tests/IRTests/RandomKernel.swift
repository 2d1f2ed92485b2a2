import IR
import TestSupport

/// Draws kernels that the verifier accepts and that use every kind of statement and expression.
struct RandomKernel {
  private var generator: Seeded
  private var next = 0
  private var loops: [LoopVariable] = []
  private var variables: [Variable] = []
  private var accumulators: [(Variable, Reduction)] = []

  private static let buffers: [Kernel.Buffer] = [
    .init("x", .f32, 1 << 20, .input), .init("half", .bf16, 1 << 20, .input), .init("bytes", .u8, 1 << 20, .input),
    .init("ids", .i64, 1 << 20, .input), .init("y", .f32, 1 << 20, .output), .init("flags", .bool, 1 << 20, .output),
    .init("work.space", .i32, 1 << 20, .workspace), .init("local/0", .i64, 1 << 20, .local),
  ]

  init(seed: UInt64) { generator = Seeded(seed) }

  private mutating func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }
  private mutating func pick<C: Collection>(_ choices: C) -> C.Element {
    choices[choices.index(choices.startIndex, offsetBy: draw(0...(choices.count - 1)))]
  }

  mutating func kernel() -> Kernel {
    // Numbers start anywhere: the text does not depend on them.
    next = draw(0...1000)
    return Kernel(name: "k", buffers: Self.buffers, body: (0..<draw(0...3)).map { _ in loop(.parallel, depth: 3) })
  }

  private mutating func fresh() -> Int {
    next += draw(1...3)
    return next
  }

  private mutating func block(_ depth: Int, inVector: Bool) -> [Statement] {
    let outer = (variables, accumulators)
    defer { (variables, accumulators) = outer }
    return (0..<draw(0...5)).map { _ in statement(depth, inVector: inVector) }
  }

  private mutating func loop(_ kind: Loop.Kind, depth: Int) -> Statement {
    let outer = (loops, variables, accumulators)
    defer { (loops, variables, accumulators) = outer }
    let limit = kind == .parallel || draw(0...2) > 0 ? nil : position(2)
    let variable = LoopVariable(fresh(), below: draw(0...9))
    loops.append(variable)
    var isVector = false
    if case .vector = kind {
      isVector = true
      // What the loop feeds is not read inside it.
      variables.removeAll { variable in accumulators.contains { $0.0 == variable } }
    }
    return .loop(Loop(variable, kind, limit: limit, block(depth - 1, inVector: isVector)))
  }

  private mutating func statement(_ depth: Int, inVector: Bool) -> Statement {
    switch draw(0...9) {
    case 0, 1:
      let value = scalar(pick(ScalarType.allCases), 3)
      let variable = Variable(fresh(), value.type)
      variables.append(variable)
      return .define(variable, value)
    case 2 where !inVector:
      let reduction = pick(Reduction.allCases)
      let type = pick(ScalarType.allCases.filter(reduction.takes))
      let variable = Variable(fresh(), type)
      variables.append(variable)
      accumulators.append((variable, reduction))
      return .accumulator(variable, reduction)
    case 3 where !accumulators.isEmpty:
      let (variable, reduction) = pick(accumulators)
      return .accumulate(variable, reduction, scalar(variable.type, 2))
    case 4 where depth > 0: return .conditional(scalar(.bool, 2), block(depth - 1, inVector: inVector))
    case 5 where depth > 0 && !inVector: return loop(.serial, depth: depth)
    case 6 where depth > 0 && !inVector:
      return loop(.vector(width: 1 << draw(0...4), unroll: draw(1...4)), depth: depth)
    case 7 where !inVector:
      let (m, n, k) = (draw(0...5), draw(0...5), draw(0...5))
      let limit = draw(0...1) == 0 ? nil : position(1)
      let depth = draw(0...2) == 0 ? position(1) : nil
      return .product(
        Product(
          m: m, n: n, k: k, rowLimit: limit, depthLimit: depth,
          .init(BufferID(0), at: nearby(), rowStride: k + draw(0...2), columnStride: 1),
          .init(BufferID(1), at: nearby(), rowStride: 1, columnStride: k + draw(0...2)),
          into: .init(BufferID(4), at: nearby(), rowStride: n, columnStride: 1), accumulates: draw(0...1) == 0))
    default:
      let buffer = draw(4...7)
      return .store(BufferID(buffer), nearby(), scalar(ScalarType(Self.buffers[buffer].dtype), 3))
    }
  }

  /// A position that stays inside the buffers.
  private mutating func nearby() -> Position { (position(3) % 1000) + draw(0...1000) }

  private mutating func position(_ depth: Int) -> Position {
    let integers = variables.filter { $0.type == .i32 || $0.type == .i64 }
    switch depth == 0 ? draw(0...2) : draw(0...7) {
    case 0: return Position(draw(-20...20))
    case 1 where !integers.isEmpty: return Position(pick(integers))
    case 1, 2: return loops.isEmpty ? Position(1) : Position(pick(loops))
    case 3, 4: return position(depth - 1) + position(depth - 1)
    case 5: return position(depth - 1) * draw(-5...5)
    case 6: return position(depth - 1) / draw(1...9)
    default: return position(depth - 1) % draw(1...9)
    }
  }

  private mutating func leaf(_ type: ScalarType) -> Scalar {
    let known = variables.filter { $0.type == type }
    if !known.isEmpty, draw(0...1) == 0 { return .variable(pick(known)) }
    if draw(0...1) == 0 {
      let number = pick(Self.buffers.indices.filter { ScalarType(Self.buffers[$0].dtype) == type })
      return .load(BufferID(number), type, nearby(), guard: draw(0...2) == 0 ? scalar(.bool, 1) : nil)
    }
    switch type {
    case .f32: return .float(pick([0, -0.0, 1, -1.5, 0.1, 1e-30, 3.4e38, .infinity, -.infinity, 1.0 / 3]))
    case .i32: return .integer(Int64(pick([Int32.min, -1, 0, 7, .max])), .i32)
    case .i64: return draw(0...1) == 0 ? .position(position(2)) : .integer(pick([Int64.min, -1, 0, 7, .max]), .i64)
    case .bool: return .boolean(draw(0...1) == 0)
    }
  }

  private mutating func scalar(_ type: ScalarType, _ depth: Int) -> Scalar {
    if depth == 0 || draw(0...4) == 0 { return leaf(type) }
    switch draw(0...6) {
    case 0: return .unary(pick(UnaryFunction.allCases.filter { $0.takes(type) }), scalar(type, depth - 1))
    case 1, 2, 3:
      return .binary(
        pick(BinaryFunction.allCases.filter { $0.takes(type) }), scalar(type, depth - 1), scalar(type, depth - 1))
    case 4: return .select(scalar(.bool, depth - 1), scalar(type, depth - 1), scalar(type, depth - 1))
    case 5: return .convert(scalar(pick(ScalarType.allCases), depth - 1), type)
    default: break
    }
    let operand = pick(ScalarType.allCases)
    switch type {
    case .f32:
      if draw(0...2) == 0 { return .round(scalar(.f32, depth - 1), pick([.bf16, .f16])) }
      if draw(0...1) == 0 { return .bitcast(scalar(.i32, depth - 1), .f32) }
      return .fusedMultiplyAdd(scalar(.f32, depth - 1), scalar(.f32, depth - 1), scalar(.f32, depth - 1))
    case .i32: return .bitcast(scalar(.f32, depth - 1), .i32)
    case .bool: return .compare(pick(Comparison.allCases), scalar(operand, depth - 1), scalar(operand, depth - 1))
    case .i64: return leaf(.i64)
    }
  }
}
