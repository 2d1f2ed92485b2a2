import IR

// Checks that the shape rules of ops have in common.

/// Elements a tensor may have: offsets, byte counts and positions computed from them stay far from overflow.
let largestCount = 1 << 46

/// The type, if a tensor of it can exist: no negative axis, not too many elements; of a row-sparse one neither in the table
/// nor in the rows.
func checked(_ type: TensorType) throws(Violation) -> TensorType {
  try require((type.rows ?? 0) >= 0, "\(type) cannot have \(type.rows ?? 0) rows")
  try expectFew(type.shape, in: type)
  if let rows = type.rows { try expectFew([rows] + type.shape.dropFirst(), in: type) }
  return type
}

private func expectFew(_ shape: [Int], in type: TensorType) throws(Violation) {
  // Axes of size 0 are left out, so that strides and partial products do not overflow either.
  var count = 1
  for extent in shape {
    try require(extent >= 0, "an axis cannot have \(extent) elements")
    let (product, overflow) = count.multipliedReportingOverflow(by: max(1, extent))
    try require(!overflow && product <= largestCount, "\(type) has too many elements")
    count = product
  }
}

/// Holds operands to a list of roles: as many, and each dense.
func expect(_ operands: [TensorType], _ roles: String...) throws(Violation) {
  let wanted = roles.isEmpty ? "no operands" : "\(roles.joined(separator: ", "))"
  try require(operands.count == roles.count, "takes \(wanted), got \(operands.count) operands")
  for (role, type) in zip(roles, operands) { try expectDense(type, as: role) }
}

func expectDense(_ type: TensorType, as role: String) throws(Violation) {
  try require(type.rows == nil, "wants a dense tensor as \(role), got \(type)")
  _ = try checked(type)
}

func expectAxis(_ axis: Int, of type: TensorType) throws(Violation) {
  try require(type.shape.indices.contains(axis), "has no axis \(axis) in \(type)")
}

/// Axes of a tensor of some rank, each once and in ascending order.
func expectAxes(_ axes: [Int], rank: Int) throws(Violation) {
  var last = -1
  for axis in axes {
    try require(axis >= 0 && axis < rank, "has no axis \(axis) among \(rank)")
    try require(axis > last, "wants its axes ascending and each once, got \(axes)")
    last = axis
  }
}

func expectFloat(_ type: TensorType, as role: String) throws(Violation) {
  try require(type.dtype.isFloat, "wants floats as \(role), got \(type)")
}

func expectNumeric(_ type: TensorType, as role: String) throws(Violation) {
  try require(type.dtype != .bool, "wants numbers as \(role), got \(type)")
}

func expectInteger(_ type: TensorType, as role: String) throws(Violation) {
  try require(type.dtype.isInteger, "wants integers as \(role), got \(type)")
}

extension Scalar {
  /// The value as memory of a dtype would hold it: u8 is computed as i32 and wraps at 256.
  func wrapped(to dtype: DType) -> Scalar { dtype == .u8 ? .binary(.and, self, .integer(255, .i32)) : self }

  /// The value as an i64.
  var wide: Scalar { type == .i64 ? self : .convert(self, .i64) }

  /// `0 <= self < limit`, for an i64.
  public func isWithin(_ limit: Int) -> Scalar {
    let low = Scalar.compare(.greaterOrEqual, self, .integer(0, .i64))
    return .binary(.and, low, .compare(.less, self, .integer(Int64(limit), .i64)))
  }

  /// Zero, or false.
  static func zero(_ type: ScalarType) -> Scalar {
    switch type {
    case .f32: .float(0)
    case .i32, .i64: .integer(0, type)
    case .bool: .boolean(false)
    }
  }
}
