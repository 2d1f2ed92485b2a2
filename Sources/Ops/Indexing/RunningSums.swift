import IR

/// Sums that one iteration of a kernel collects in memory, before or as they become part of its result.
///
/// 16-bit floats are summed as f32 in a local buffer and rounded once; all others right in the result.
struct RunningSums {
  private let k: KernelBuilder
  private let sums: BufferID
  private let result: BufferID
  private let type: ScalarType
  private let count: Int
  private var isApart: Bool { sums != result }

  init(_ k: KernelBuilder, _ dtype: DType, count: Int, into result: BufferID) {
    self.k = k
    self.count = count
    self.result = result
    type = ScalarType(dtype)
    let isShort = dtype == .bf16 || dtype == .f16
    sums = isShort ? k.buffer("sums", .f32, max(1, count), .local) : result
  }

  /// Zeros; the sums begin at `first` in the result.
  func clear(_ first: Position) -> Statement {
    k.lanes(below: count) { [.store(sums, place($0, first), .zero(type))] }
  }

  func add(_ value: Scalar, at: Position, _ first: Position) -> Statement {
    let place = place(at, first)
    return .store(sums, place, .binary(.add, k.load(sums, place), value))
  }

  /// Adds the product of two floats, rounded once.
  func add(_ value: Scalar, times factor: Scalar, at: Position, _ first: Position) -> Statement {
    let place = place(at, first)
    return .store(sums, place, .fusedMultiplyAdd(factor, value, k.load(sums, place)))
  }

  /// Brings the sums to the result.
  func finish(_ first: Position) -> [Statement] {
    isApart ? [k.lanes(below: count) { [.store(result, first + $0, k.load(sums, $0))] }] : []
  }

  private func place(_ at: Position, _ first: Position) -> Position { isApart ? at : first + at }
}

extension ScalarType {
  /// The type of memory that holds such values as they are.
  var dtype: DType {
    switch self {
    case .f32: .f32
    case .i32: .i32
    case .i64: .i64
    case .bool: .bool
    }
  }
}
