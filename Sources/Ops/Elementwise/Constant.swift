import IR

/// A tensor whose elements are all one number.
public struct Constant: TensorOp {
  public var name: String { "constant" }
  public let type: TensorType
  /// A float's bits or an integer, so that equal constants are the same to the bit.
  private let bits: Int64

  public init(_ value: Double, _ type: TensorType) {
    let bits = type.dtype.isFloat ? Int64(bitPattern: value.bitPattern) : Int64(exactly: value.rounded(.towardZero)) ?? 0
    self.init(type, bits)
  }

  public init(integer: Int64, _ type: TensorType) {
    self.init(type, type.dtype.isFloat ? Int64(bitPattern: Double(integer).bitPattern) : integer)
  }

  /// Integers are wrapped to their type.
  private init(_ type: TensorType, _ bits: Int64) {
    self.type = type
    switch type.dtype {
    case .f32, .bf16, .f16, .i64: self.bits = bits
    case .i32: self.bits = Int64(Int32(truncatingIfNeeded: bits))
    case .u8: self.bits = Int64(UInt8(truncatingIfNeeded: bits))
    case .bool: self.bits = bits == 0 ? 0 : 1
    }
  }

  /// The number, an integer as a double.
  public var value: Double { type.dtype.isFloat ? Double(bitPattern: UInt64(bitPattern: bits)) : Double(bits) }
  /// The number of an integer or bool constant; 0 for floats.
  public var integer: Int64 { type.dtype.isFloat ? 0 : bits }

  private enum Key: String, CodingKey { case type, value }

  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    let type = try fields.decode(TensorType.self, forKey: .type)
    switch type.dtype {
    case .f32, .bf16, .f16: self.init(try fields.decode(Double.self, forKey: .value), type)
    case .i32, .i64, .u8: self.init(integer: try fields.decode(Int64.self, forKey: .value), type)
    case .bool: self.init(integer: try fields.decode(Bool.self, forKey: .value) ? 1 : 0, type)
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: Key.self)
    try fields.encode(type, forKey: .type)
    switch type.dtype {
    case .f32, .bf16, .f16: try fields.encode(value, forKey: .value)
    case .i32, .i64, .u8: try fields.encode(integer, forKey: .value)
    case .bool: try fields.encode(integer != 0, forKey: .value)
    }
  }

  public func infer(_ operands: [TensorType]) throws(Violation) -> [TensorType] {
    try expect(operands)
    try expectDense(type, as: "its type")
    return [type]
  }

  public func reference(_ operands: [Literal]) -> [Literal] {
    type.dtype.isFloat
      ? [Literal(type, floats: [Double](repeating: value, count: type.count))]
      : [Literal(type, integers: [Int64](repeating: integer, count: type.count))]
  }

  public func gradient(_ g: inout GradientBuilder) throws(Diagnostic) -> [Value?] { [] }

  public func lower(_ operands: [TensorType]) -> Lowering {
    let scalar: Scalar =
      switch type.dtype {
      case .f32: .float(value)
      case .bf16: .float(Double(BFloat16(Float(value)).float))
      case .f16: .float(Double(Half(Float(value)).float))
      case .i32, .u8: .integer(integer, .i32)
      case .i64: .integer(integer, .i64)
      case .bool: .boolean(integer != 0)
      }
    return .formula { _, _ in scalar }
  }

  public static let samples: [Sample] = [
    Sample(Self(0.5, .f32(3, 5))), Sample(Self(-.infinity, .f32(2))), Sample(Self(0.1, TensorType(.bf16, [3]))),
    Sample(Self(0.1, TensorType(.f16, []))), Sample(Self(integer: .min, .i64(2))), Sample(Self(integer: 300, TensorType(.u8, [2]))),
    Sample(Self(integer: -7, TensorType(.i32, [1, 4]))), Sample(Self(integer: 1, TensorType(.bool, [3]))),
    Sample(Self(1, .f32(0, 3))),
  ]
}
