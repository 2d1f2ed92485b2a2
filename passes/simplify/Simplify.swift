import IR
import Ops
import Rewriting

extension Pass {
  /// Applies the algebra of the ops until nothing more follows from it.
  ///
  ///     %0 = transpose %w {permutation = [1, 0]} : f32[512, 512]
  ///     %1 = contract %x, %0 {equation = "bi,io->bo"}
  ///     %2 = multiply %1, %ones
  /// ->
  ///     %2 = contract %x, %w {equation = "bi,oi->bo"}
  ///
  /// Differentiation leaves many such places. No rule makes a program slower, and none hides a NaN or an infinity; what a
  /// rule may change is said in the README.
  public static let simplify = Pass("simplify", patterns: Pattern.simplifications)
}

extension Pattern {
  /// Every rule of `simplify`; one file an op family.
  static let simplifications: [Pattern] =
    elementwiseRules + unaryRules + binaryRules + powerRules + selectRules + castRules + broadcastRules + reshapeRules
    + transposeRules + sliceRules + concatenateRules + padRules + reduceRules + contractRules + stopGradientRules
}
