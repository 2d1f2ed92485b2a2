/// A program for one device: loops around scalar expressions. Each statement of `body` is a *stage*, a parallel loop;
/// a stage starts when the one before it has ended everywhere.
public struct Kernel: Hashable, Sendable {
  public var name: String
  /// Operands of the launch first, then its results, then workspace and locals.
  public var buffers: [Buffer]
  public var body: [Statement]

  public init(name: String, buffers: [Buffer], body: [Statement]) {
    self.name = name
    self.buffers = buffers
    self.body = body
  }

  public struct Buffer: Hashable, Sendable {
    public var name: String
    public var dtype: DType
    /// Elements.
    public var count: Int
    public var role: Role
    /// Of an output: the input whose content it starts with, because the kernel changes only a part of it. Whoever
    /// launches the kernel gives both the same memory, or copies first.
    public var updates: BufferID?

    public init(_ name: String, _ dtype: DType, _ count: Int, _ role: Role, updates: BufferID? = nil) {
      self.name = name
      self.dtype = dtype
      self.count = count
      self.role = role
      self.updates = updates
    }
    public var bytes: Int { count * dtype.size }
  }

  public enum Role: String, Hashable, Sendable, CaseIterable {
    case input, output
    /// Shared by all stages and all iterations of the launch.
    case workspace
    /// Private to one iteration of the parallel loop; its content at the start is undefined.
    case local
  }
}

/// A statement of a kernel. A closed set: every consumer switches over it without a default.
public indirect enum Statement: Hashable, Sendable {
  /// Names the value of an expression; a variable is defined once in its block.
  case define(Variable, Scalar)
  /// Declares an accumulator that starts as the identity of the reduction, in a block around the loops that feed it.
  case accumulator(Variable, Reduction)
  /// Combines one more value into an accumulator, in the order of the loops; lanes of a vector loop are combined when
  /// that loop ends, always in the same order. A product that is added is rounded with the sum.
  case accumulate(Variable, Reduction, Scalar)
  case store(BufferID, Position, Scalar)
  case loop(Loop)
  case conditional(Scalar, [Statement])
  /// A matrix product on memory, done by a library or a tiled routine.
  case product(Product)
}

public struct Loop: Hashable, Sendable {
  public var variable: LoopVariable
  /// Where present, the loop ends below this (a last, shorter piece).
  public var limit: Position?
  public var kind: Kind
  public var body: [Statement]

  public enum Kind: Hashable, Sendable {
    /// Iterations are independent and may run at the same time. Only as a stage.
    case parallel
    case serial
    /// Iterations are the lanes of vectors: `width` elements together, `unroll` vectors at a time. Innermost only.
    case vector(width: Int, unroll: Int)
  }

  public init(_ variable: LoopVariable, _ kind: Kind, limit: Position? = nil, _ body: [Statement]) {
    self.variable = variable
    self.limit = limit
    self.kind = kind
    self.body = body
  }
}

/// `C[i, j] = Σ_k A[i, k] · B[k, j]`, added to C where `accumulates`. One of each matrix's strides is 1.
public struct Product: Hashable, Sendable {
  public var m: Int, n: Int, k: Int
  /// Where present, fewer rows than `m`: the last piece of a split product.
  public var rowLimit: Position?
  /// Where present, fewer terms in each sum than `k`.
  public var depthLimit: Position?
  public var a: Matrix, b: Matrix, c: Matrix
  public var accumulates: Bool

  public struct Matrix: Hashable, Sendable {
    public var buffer: BufferID
    public var offset: Position
    public var rowStride: Int
    public var columnStride: Int

    public init(_ buffer: BufferID, at offset: Position, rowStride: Int, columnStride: Int) {
      self.buffer = buffer
      self.offset = offset
      self.rowStride = rowStride
      self.columnStride = columnStride
    }
  }

  public init(
    m: Int, n: Int, k: Int, rowLimit: Position? = nil, depthLimit: Position? = nil, _ a: Matrix, _ b: Matrix,
    into c: Matrix, accumulates: Bool = false
  ) {
    self.m = m
    self.n = n
    self.k = k
    self.rowLimit = rowLimit
    self.depthLimit = depthLimit
    self.a = a
    self.b = b
    self.c = c
    self.accumulates = accumulates
  }
}
