import IR
import Ops
import Rewriting

extension Pass {
  /// Computes attention in one pass over the keys, instead of writing the matrix of scores.
  ///
  ///     %0 = contract %q, %k {equation = "btgrw,bsgw->bgrts"}
  ///     … scaled, masked, softmax along s …
  ///     %9 = contract %8, %v {equation = "bgrts,bsgw->btgrw"}
  /// ->
  ///     %9, %10 = attention %q, %k, %v {scale = 0.125, isCausal = true}
  ///
  /// The scores are the square of the length; they are read and written four times, the backward pass not counted. To be
  /// run before a program is differentiated: the gradient of `attention` computes the weights again.
  public static let fuseAttention = Pass("fuse-attention", patterns: [.attention])
}

extension Pattern {
  /// `contract(softmax(mask(scale · contract(q, k))), v) → attention(q, k, v)`
  static let attention = Pattern("attention", on: Contract.self) { mix, rewriter throws(NoMatch) in
    let found = try AttentionMatch(mix, rewriter)
    let q = try rewriter.shaped(found.query, found.queryShape)
    let k = try rewriter.shaped(found.key, found.keyShape)
    let v = try rewriter.shaped(found.value, found.valueShape)
    let y = try rewriter.emit(Attention(scale: found.scale, isCausal: found.isCausal), [q, k, v])[0]
    return try rewriter.shaped(y, rewriter.type(of: mix.results[0]).shape)
  }
}

extension Rewriter {
  fileprivate mutating func shaped(_ value: Value, _ shape: [Int]) throws(NoMatch) -> Value {
    type(of: value).shape == shape ? value : try emit(Reshape(shape: shape), value)
  }
}

extension Function {
  /// The function with attention as one op; to be differentiated after.
  public func streamingAttention() throws(Diagnostic) -> Function {
    var module = Module(functions: [self])
    var manager = PassManager([.fuseAttention])
    try manager.run(on: &module)
    return module.functions[0]
  }
}
