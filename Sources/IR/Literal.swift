/// A tensor with its elements: a constant, or a value in the interpreter.
///
/// f32 elements are carried in double precision, so that the interpreter is the truth other backends are held to;
/// f16 and bf16 elements are rounded to what the type can hold. Integers wrap around at their width.
public struct Literal: Hashable, Sendable {
  public enum Elements: Hashable, Sendable {
    case floats([Double])
    case integers([Int64])
  }

  public let type: TensorType
  /// In row-major order; of a row-sparse tensor the rows it holds.
  public let elements: Elements
  /// The row number of each pair of a row-sparse tensor; empty for a dense one.
  public let ids: [Int64]

  public init(_ type: TensorType, floats: [Double]) {
    precondition(type.rows == nil, "\(type) has ids too")
    self.init(type, ids: [], values: floats)
  }

  /// A row-sparse tensor of its pairs: row numbers, and the rows one after the other.
  public init(_ type: TensorType, ids: [Int64], values floats: [Double]) {
    let count = type.heldCount
    precondition(type.dtype.isFloat && floats.count == count, "\(type) holds \(count) floats, got \(floats.count)")
    precondition(ids.count == type.rows ?? 0, "\(type) got \(ids.count) ids")
    self.type = type
    self.ids = ids
    switch type.dtype {
    case .bf16: elements = .floats(floats.map { Double(BFloat16(Float($0)).float) })
    case .f16: elements = .floats(floats.map { Double(Half(Float($0)).float) })
    default: elements = .floats(floats)
    }
  }

  public init(_ type: TensorType, integers: [Int64]) {
    precondition(!type.dtype.isFloat && integers.count == type.count, "\(type) holds \(type.count) integers, got \(integers.count)")
    self.type = type
    ids = []
    switch type.dtype {
    case .i32: elements = .integers(integers.map { Int64(Int32(truncatingIfNeeded: $0)) })
    case .u8: elements = .integers(integers.map { Int64(UInt8(truncatingIfNeeded: $0)) })
    case .bool: elements = .integers(integers.map { $0 == 0 ? 0 : 1 })
    default: elements = .integers(integers)
    }
  }

  /// The tensor of `type` with `element(position)` at each position, in row-major order.
  public init(_ type: TensorType, _ element: ([Int]) -> Double) {
    let positions = Positions(of: type.shape)
    if type.dtype.isFloat {
      self.init(type, floats: positions.map(element))
    } else {
      self.init(type, integers: positions.map { Int64(exactly: element($0).rounded(.towardZero)) ?? 0 })
    }
  }

  public init(_ type: TensorType, integer element: ([Int]) -> Int64) {
    self.init(type, integers: Positions(of: type.shape).map(element))
  }

  /// Nothing but zeros; a row-sparse tensor's pairs belong to no row.
  public static func zeros(_ type: TensorType) -> Self {
    if let rows = type.rows {
      let ids = [Int64](repeating: -1, count: rows)
      return Self(type, ids: ids, values: [Double](repeating: 0, count: type.heldCount))
    }
    return type.dtype.isFloat
      ? Self(type, floats: [Double](repeating: 0, count: type.count))
      : Self(type, integers: [Int64](repeating: 0, count: type.count))
  }

  /// The elements in row-major order, integers as doubles.
  public var doubles: [Double] {
    switch elements {
    case .floats(let values): values
    case .integers(let values): values.map(Double.init)
    }
  }

  /// The elements in row-major order, floats truncated.
  public var integers: [Int64] {
    switch elements {
    case .floats(let values): values.map { Int64(exactly: $0.rounded(.towardZero)) ?? 0 }
    case .integers(let values): values
    }
  }

  public func float(at offset: Int) -> Double {
    switch elements {
    case .floats(let values): values[offset]
    case .integers(let values): Double(values[offset])
    }
  }

  public func integer(at offset: Int) -> Int64 {
    switch elements {
    case .floats(let values): Int64(exactly: values[offset].rounded(.towardZero)) ?? 0
    case .integers(let values): values[offset]
    }
  }

  public subscript(position: [Int]) -> Double { float(at: offset(of: position)) }

  public func offset(of position: [Int]) -> Int {
    var offset = 0
    for (at, extent) in zip(position, type.shape) { offset = offset * extent + at }
    return offset
  }

  /// The same elements in another shape with as many elements.
  public func reshaped(to shape: [Int]) -> Self {
    let reshaped = TensorType(type.dtype, shape)
    switch elements {
    case .floats(let values): return Self(reshaped, floats: values)
    case .integers(let values): return Self(reshaped, integers: values)
    }
  }
}

/// Every position of a shape, in row-major order.
public struct Positions: Sequence, IteratorProtocol {
  private let shape: [Int]
  private var next_: [Int]?

  public init(of shape: [Int]) {
    self.shape = shape
    next_ = shape.contains(0) ? nil : [Int](repeating: 0, count: shape.count)
  }

  public mutating func next() -> [Int]? {
    guard let current = next_ else { return nil }
    var following = current
    var axis = shape.count - 1
    while axis >= 0 {
      following[axis] += 1
      if following[axis] < shape[axis] { break }
      following[axis] = 0
      axis -= 1
    }
    next_ = axis < 0 ? nil : following
    return current
  }
}
