/// The element types of tensors.
public enum DType: String, Hashable, Sendable, Codable, CaseIterable {
  case f32, bf16, f16, i32, i64, u8, bool

  /// Bytes one element takes in memory.
  public var size: Int {
    switch self {
    case .f32, .i32: 4
    case .bf16, .f16: 2
    case .i64: 8
    case .u8, .bool: 1
    }
  }

  public var isFloat: Bool {
    switch self {
    case .f32, .bf16, .f16: true
    case .i32, .i64, .u8, .bool: false
    }
  }

  public var isInteger: Bool { !isFloat && self != .bool }
}

/// An element type and a static shape; the type of every value of a program.
///
/// A *row-sparse* tensor (`rows<K>f32[V, D]`) is a `[V, D]` matrix whose non-zero rows are held as `K` pairs of a row
/// number and a row of values; row numbers may repeat, and what they hold adds up. It is the gradient of a table.
public struct TensorType: Hashable, Sendable {
  public var dtype: DType
  public var shape: [Int]
  /// How many pairs a row-sparse tensor holds; `nil` for an ordinary, dense tensor.
  public var rows: Int?

  public init(_ dtype: DType, _ shape: [Int], rows: Int? = nil) {
    self.dtype = dtype
    self.shape = shape
    self.rows = rows
  }

  public static func f32(_ shape: Int...) -> Self { Self(.f32, shape) }
  public static func i64(_ shape: Int...) -> Self { Self(.i64, shape) }

  public var rank: Int { shape.count }
  /// Elements of the (dense) tensor.
  public var count: Int { shape.reduce(1, *) }
  /// Elements a value holds: all of a dense tensor, the rows of a row-sparse one.
  public var heldCount: Int { rows.map { $0 * shape.dropFirst().reduce(1, *) } ?? count }
  /// Bytes the value takes in memory.
  public var bytes: Int {
    guard let rows else { return count * dtype.size }
    return rows * (DType.i64.size + shape.dropFirst().reduce(1, *) * dtype.size)
  }
  /// Distance in elements between neighbours along each axis, last axis contiguous.
  public var strides: [Int] {
    var strides = [Int](repeating: 1, count: rank)
    for axis in stride(from: rank - 2, through: 0, by: -1) { strides[axis] = strides[axis + 1] * shape[axis + 1] }
    return strides
  }

  public func with(_ dtype: DType) -> Self { Self(dtype, shape, rows: rows) }
  public func with(shape: [Int]) -> Self { Self(dtype, shape) }
}

extension TensorType: CustomStringConvertible {
  public var description: String {
    let dense = "\(dtype.rawValue)[\(shape.map(String.init).joined(separator: ", "))]"
    return rows.map { "rows<\($0)>\(dense)" } ?? dense
  }
}
