import IR

/// Collects the parts of a kernel that an op writes by hand: its buffers, and numbers for its loops and variables.
final class KernelBuilder {
  private(set) var buffers: [Kernel.Buffer] = []
  private var loops = 0
  private var variables = 0
  private var stages: [Statement] = []

  func buffer(_ name: String, _ dtype: DType, _ count: Int, _ role: Kernel.Role) -> BufferID {
    buffers.append(Kernel.Buffer(name, dtype, count, role))
    return BufferID(buffers.count - 1)
  }
  func input(_ name: String, _ type: TensorType) -> BufferID { buffer(name, type.dtype, type.count, .input) }
  func output(_ name: String, _ type: TensorType) -> BufferID { buffer(name, type.dtype, type.count, .output) }

  /// An output that starts as an input's content.
  func output(_ name: String, updating input: BufferID) -> BufferID {
    let start = buffers[input.index]
    buffers.append(Kernel.Buffer(name, start.dtype, start.count, .output, updates: input))
    return BufferID(buffers.count - 1)
  }

  /// The element at a position, in its compute type.
  func load(_ buffer: BufferID, _ at: Position, where condition: Scalar? = nil) -> Scalar {
    .load(buffer, ScalarType(buffers[buffer.index].dtype), at, guard: condition)
  }

  /// A statement that names a value, and the name.
  func define(_ value: Scalar) -> (Statement, Variable) {
    let variable = variable(value.type)
    return (.define(variable, value), variable)
  }

  func variable(_ type: ScalarType) -> Variable {
    variables += 1
    return Variable(variables - 1, type)
  }

  func loop(below extent: Int, limit: Position? = nil, _ body: (Position) -> [Statement]) -> Statement {
    make(.serial, extent, limit, body)
  }

  /// A loop whose iterations are independent, but for accumulators they feed: vectors, where there are enough of them.
  func lanes(below extent: Int, limit: Position? = nil, _ body: (Position) -> [Statement]) -> Statement {
    make(.lanes(below: extent), extent, limit, body)
  }

  /// Appends a stage: a parallel loop.
  func stage(below extent: Int, _ body: (Position) -> [Statement]) { stages.append(make(.parallel, extent, nil, body)) }

  private func make(_ kind: Loop.Kind, _ extent: Int, _ limit: Position?, _ body: (Position) -> [Statement]) -> Statement {
    let counter = LoopVariable(loops, below: extent)
    loops += 1
    // A limit that never cuts is left out, so that nobody has to find out again.
    let cuts = limit.map { ($0.range?.lowerBound ?? .min) < extent } ?? false
    return .loop(Loop(counter, kind, limit: cuts ? limit : nil, body(Position(counter))))
  }

  func kernel(_ name: String) -> Kernel { Kernel(name: name, buffers: buffers, body: stages) }
}

extension Loop.Kind {
  /// Lanes of vectors, where there are enough of them.
  public static func lanes(below extent: Int) -> Self {
    extent < 8 ? .serial : .vector(width: 16, unroll: min(4, pieces(of: extent, by: 16)))
  }
}

extension Scalar {
  static func int(_ value: Int) -> Scalar { .integer(Int64(value), .i64) }

  /// Whether this element stands before another in descending order: it is larger, or a NaN and the other is not.
  func isLarger(than other: Scalar) -> Scalar {
    let larger = Scalar.compare(.greater, self, other)
    guard type == .f32 else { return larger }
    let onlyOneNaN = Scalar.binary(.and, .compare(.notEqual, self, self), .compare(.equal, other, other))
    return .binary(.or, larger, onlyOneNaN)
  }
}

extension Scalar {
  /// Whether another element stands before this one in a stable order: it precedes it, or is earlier and not preceded.
  func comesAfter(_ other: Scalar, ifEarlier isEarlier: Scalar, _ precedes: (Scalar, Scalar) -> Scalar) -> Scalar {
    .select(isEarlier, .unary(.not, precedes(self, other)), precedes(other, self))
  }
}

/// How many pieces of some size cover a length.
func pieces(of length: Int, by size: Int) -> Int { (length + size - 1) / size }
