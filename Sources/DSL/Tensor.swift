import IR
import Ops

/// A tensor of a program being traced: using it writes operations down, nothing is computed.
public struct Tensor {
  public let trace: Trace
  public let type: TensorType
  /// What the function calls it; `nil` in a poisoned tensor, made after an error.
  public let value: Value?

  init(trace: Trace, type: TensorType, value: Value?) {
    self.trace = trace
    self.type = type
    self.value = value
  }

  public var shape: [Int] { type.shape }
  public var rank: Int { type.rank }
  public var dtype: DType { type.dtype }

  /// The extent of an axis, counted from the end if negative; an axis that is not there is an error, and counts as 1.
  public func extent(_ axis: Int) -> Int {
    guard let axis = position(ofAxis: axis) else { return 1 }
    return shape[axis]
  }

  /// An axis counted from the front.
  func position(ofAxis axis: Int) -> Int? {
    let position = axis < 0 ? rank + axis : axis
    guard trace.require((0..<rank).contains(position), "there is no axis \(axis) in \(type)") else { return nil }
    return position
  }

  /// This tensor, poisoned: what a layer returns after it found an error.
  public var poisoned: Tensor { trace.poisoned(type) }

  // MARK: Constants

  /// A tensor of one number throughout, of this tensor's type, or of another shape.
  public func constant(_ value: Double, shape: [Int]? = nil) -> Tensor {
    trace.constant(value, type.with(shape: shape ?? self.shape))
  }

  /// Each element's place along `axis`, in a tensor of this one's shape.
  public func indices(along axis: Int, dtype: DType = .i64) -> Tensor {
    guard let axis = position(ofAxis: axis) else { return poisoned }
    return trace.emit(Iota(axis: axis, type: TensorType(dtype, shape)))
  }
}

extension Trace {
  /// A tensor of one number throughout.
  public func constant(_ value: Double, _ type: TensorType) -> Tensor {
    if type.dtype.isFloat { return emit(Constant(value, type)) }
    guard let integer = Int64(exactly: value) else {
      fail("the constant \(value) is no \(type.dtype)")
      return poisoned(type)
    }
    return emit(Constant(integer: integer, type))
  }

  /// The numbers 0, 1, … along `axis`.
  public func iota(_ type: TensorType, axis: Int = 0) -> Tensor { emit(Iota(axis: axis, type: type)) }
}
