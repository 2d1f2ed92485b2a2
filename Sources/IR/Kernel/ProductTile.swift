extension ThreadMapping {
  /// How a block computes a product: `rows × columns` results at a time, `depth` terms of their sums at a time. Pieces of
  /// both operands stand in shared memory from `at` on.
  public struct ProductTile: Hashable, Sendable {
    public var rows: Int, columns: Int, depth: Int
    public var unit: Unit
    /// Whether four warps multiply together, straight from shared memory, where lines of 128 bytes have their 16-byte
    /// parts exchanged by their number (`wgmma` of sm_90).
    public var isOfWarpgroups: Bool
    /// Results that each unit has.
    public var unitRows: Int, unitColumns: Int
    /// Pieces of each operand that are in shared memory at once: one is multiplied while the others come in.
    public var pieces: Int
    public var a: Operand, b: Operand
    public var at: Int

    /// What multiplies.
    public enum Unit: String, Hashable, Sendable {
      /// Each thread by itself, in f32.
      case thread
      /// The tensor cores of a warp or of four, with sums in f32.
      case bf16, f16, tf32
    }

    /// How an operand comes to shared memory, where it lies as it does in global memory.
    public struct Operand: Hashable, Sendable {
      /// Whether its lines, the elements side by side, run along the sums.
      public var isAlongDepth: Bool
      /// Elements that are copied at once, 16 bytes at most.
      public var width: Int

      public init(isAlongDepth: Bool, width: Int) {
        self.isAlongDepth = isAlongDepth
        self.width = width
      }
    }

    public init(
      rows: Int, columns: Int, depth: Int, unit: Unit, isOfWarpgroups: Bool = false, unitRows: Int, unitColumns: Int,
      pieces: Int = 1, a: Operand = Operand(isAlongDepth: true, width: 1),
      b: Operand = Operand(isAlongDepth: true, width: 1), at: Int = 0
    ) {
      (self.rows, self.columns, self.depth) = (rows, columns, depth)
      (self.unit, self.isOfWarpgroups) = (unit, isOfWarpgroups)
      (self.unitRows, self.unitColumns) = (unitRows, unitColumns)
      (self.pieces, self.a, self.b, self.at) = (pieces, a, b, at)
    }

    public var threads: Int { (rows / unitRows) * (columns / unitColumns) * threadsOfUnit }
    private var threadsOfUnit: Int { unit == .thread ? 1 : isOfWarpgroups ? 128 : 32 }

    /// Where in shared memory it may stand: at multiples of so many bytes.
    public var alignment: Int { isOfWarpgroups ? 1024 : 16 }

    /// Of shared memory.
    public var bytes: Int {
      if unit == .thread { return (rows + columns) * depth * 4 }
      if isOfWarpgroups { return pieces * (rows + columns) * depth * 2 }
      return pieces * (pieceBytes(rows, a) + pieceBytes(columns, b))
    }

    /// A line is a little longer than its elements, so that what the lanes of a warp read stands in different banks.
    private func pieceBytes(_ side: Int, _ operand: Operand) -> Int {
      let (lines, length) = operand.isAlongDepth ? (side, depth) : (depth, side)
      switch unit {
      case .thread: return 0
      case .bf16, .f16: return lines * (length + 8) * 2
      case .tf32: return lines * (length + (operand.isAlongDepth ? 4 : 8)) * 4
      }
    }

    /// Tiles of a whole product.
    public func count(of product: Product) -> Int {
      let (down, across) = ((product.m + rows - 1) / rows, (product.n + columns - 1) / columns)
      return down * across
    }
  }
}
