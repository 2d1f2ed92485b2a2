import IR
import Ops

// What operations are to rounding: which sum in f32 and so let no error through, and which make much of a small one.

extension TensorOp {
  /// Whether it multiplies matrices: what it gives is a sum of many terms.
  var isProduct: Bool { self is Contract || self is GroupedContract || self is Attention }

  /// Whether something is chosen by it: a router that rounds its scores chooses others.
  var isChoice: Bool { self is TopK || self is TopMask || self is Sort || self is ArgMax }

  /// Whether it is part of a softmax or a loss.
  var isPower: Bool { [Unary(.exponential), Unary(.logarithm)].contains(self as? Unary) }

  /// Whether each element of its result is one of its operand's, as it is.
  var isMovement: Bool { self is Reshape || self is Transpose || self is Broadcast || self is Slice }

  /// Whether each element of its result is made of one element of each operand.
  var isElementwise: Bool {
    isMovement || self is Unary || self is Binary || self is Select || self is Cast || self is DitheredCast
      || self is Concatenate
  }
}
