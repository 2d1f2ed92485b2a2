import IR
import Ops

extension Tensor {
  /// The same elements in another shape; one extent may be -1, which is then worked out.
  public func reshaped(
    _ wanted: [Int], file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) {
      var shape = wanted
      if let free = wanted.firstIndex(of: -1) {
        var known = wanted
        known[free] = 1
        guard trace.require(
          TensorType(dtype, known).isOfReasonableSize && TensorType(dtype, known).count > 0,
          "\(wanted) leaves one extent open, and the others are no extents")
        else { return poisoned }
        shape[free] = type.count / TensorType(dtype, known).count
      }
      guard shape != self.shape else { return self }
      guard trace.require(
        TensorType(dtype, shape).isOfReasonableSize && TensorType(dtype, shape).count == type.count,
        "\(type) cannot be reshaped to \(wanted)")
      else { return poisoned }
      return trace.emit(Reshape(shape: shape), self)
    }
  }

  /// Takes an axis apart into several, the last of them contiguous.
  public func split(
    axis: Int = -1, into extents: [Int], file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    guard let axis = position(ofAxis: axis) else { return poisoned }
    var shape = shape
    shape.replaceSubrange(axis...axis, with: extents)
    return reshaped(shape, file: file, line: line, column: column)
  }

  /// Makes one axis of the last `count`.
  public func flattened(last count: Int) -> Tensor {
    guard trace.require((1...Swift.max(1, rank)).contains(count) && rank > 0, "there are no \(count) axes in \(type)") else {
      return poisoned
    }
    let joined = shape.suffix(count).reduce(1, *)
    return reshaped(shape.dropLast(count) + [joined])
  }

  /// Inserts an axis of extent 1; `-1` makes it the last.
  public func insertingAxis(_ axis: Int) -> Tensor {
    let position = axis < 0 ? rank + 1 + axis : axis
    guard trace.require((0...rank).contains(position), "there is no place \(axis) for an axis in \(type)") else {
      return poisoned
    }
    var shape = shape
    shape.insert(1, at: position)
    return reshaped(shape)
  }

  /// Axis i of the result is axis `permutation[i]` of this tensor.
  public func transposed(_ permutation: [Int]) -> Tensor {
    permutation == Array(0..<rank) ? self : trace.emit(Transpose(permutation: permutation), self)
  }

  /// The elements of `range` along an axis.
  public func slice(
    _ range: Range<Int>, axis: Int = -1, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    trace.at(file, line, column) {
      guard let axis = position(ofAxis: axis) else { return poisoned }
      guard range != 0..<shape[axis] else { return self }
      guard trace.require(
        range.lowerBound >= 0 && range.upperBound <= shape[axis], "\(range) reaches outside axis \(axis) of \(type)")
      else { return poisoned }
      var starts = [Int](repeating: 0, count: rank)
      var limits = shape
      starts[axis] = range.lowerBound
      limits[axis] = range.upperBound
      return trace.emit(Slice(starts: starts, limits: limits), self)
    }
  }

  /// What stands at one place of an axis; the axis goes away.
  public func at(
    _ place: Int, axis: Int = -1, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    guard let axis = position(ofAxis: axis) else { return poisoned }
    guard trace.require((0..<shape[axis]).contains(place), "there is no place \(place) on axis \(axis) of \(type)") else {
      return poisoned
    }
    var shape = shape
    shape.remove(at: axis)
    let taken = slice(place..<place + 1, axis: axis, file: file, line: line, column: column)
    return taken.reshaped(shape, file: file, line: line, column: column)
  }

  /// Zeros before and after the elements of an axis.
  public func padded(axis: Int, low: Int = 0, high: Int = 0) -> Tensor {
    guard let axis = position(ofAxis: axis) else { return poisoned }
    var lows = [Int](repeating: 0, count: rank)
    var highs = lows
    lows[axis] = low
    highs[axis] = high
    return trace.emit(Pad(low: lows, high: highs), self)
  }

  /// Puts tensors one after the other along an axis.
  public static func concatenated(
    _ parts: [Tensor], axis: Int = -1, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> Tensor {
    guard let first = parts.first else { preconditionFailure("nothing to concatenate") }
    guard parts.count > 1, let axis = first.position(ofAxis: axis) else { return first }
    return first.trace.at(file, line, column) {
      first.trace.emit(Concatenate(axis: axis), parts, results: 1)[0]
    }
  }
}
