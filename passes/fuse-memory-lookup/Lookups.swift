import IR
import Ops
import Rewriting

extension Pattern {
  /// Products of looked-up rows that are added up are one product of the rows put together.
  ///
  ///     E₀[i₀]·W₀ᵀ + E₁[i₁]·W₁ᵀ  ->  [E₀[i₀], E₁[i₁]] · [W₀, W₁]ᵀ
  ///     x + E₀[i₀]·W₀ᵀ + E₁[i₁]·W₁ᵀ  ->  x + [E₀[i₀], E₁[i₁]] · [W₀, W₁]ᵀ
  ///
  /// The rows are written into their places of the whole at once, and the results are not read again to be added. It costs a
  /// copy of the weights.
  static let sumOfLookups = Pattern("sum-of-lookups", on: Binary.self, isExplained: false) { sum, rewriter throws(NoMatch) in
    try rewriter.require(sum.op.function == .add, "is no sum")
    let second = try rewriter.lookupProduct(sum[1])
    if let first = try? rewriter.lookupProduct(sum[0]) { return try rewriter.joined(first, second) }
    let inner = try rewriter.definition(of: sum[0], as: Binary.self)
    try rewriter.require(inner.op.function == .add && rewriter.hasOneUse(sum[0]), "adds to no sum")
    let first = try rewriter.lookupProduct(inner[1])
    let product = try rewriter.joined(first, second)
    return try rewriter.emit(Binary(.add), inner[0], product)
  }
}

/// A product of rows of tables, put together if there are several, with weights.
struct LookupProduct {
  let contract: Contract
  /// Parts of either operand, side by side along its axis.
  let rows: [Value]
  let weights: [Value]
  let rowAxis: Int
  let weightAxis: Int
  let result: TensorType
}

extension Rewriter {
  fileprivate func lookupProduct(_ value: Value) throws(NoMatch) -> LookupProduct {
    let contract = try definition(of: value, as: Contract.self)
    try require(hasOneUse(value), "the product has other readers")
    let labels = contract.op.labels
    guard labels.summed.count == 1, let rowAxis = labels.a.firstIndex(of: labels.summed[0]),
      let weightAxis = labels.b.firstIndex(of: labels.summed[0])
    else { throw NoMatch("sums over more than one axis, or over one of a single operand") }
    let (rows, weights) = (parts(of: contract[0], rowAxis), parts(of: contract[1], weightAxis))
    try require(rows.count == weights.count && rows.allSatisfy(isLookup), "multiplies no looked-up rows")
    for (part, weight) in zip(rows, weights) {
      try require(type(of: part).shape[rowAxis] == type(of: weight).shape[weightAxis], "rows and weights part at other places")
    }
    return LookupProduct(
      contract: contract.op, rows: rows, weights: weights, rowAxis: rowAxis, weightAxis: weightAxis, result: type(of: value))
  }

  private func parts(of value: Value, _ axis: Int) -> [Value] {
    guard let whole = find(value, as: Concatenate.self), whole.op.axis == axis, hasOneUse(value) else { return [value] }
    return whole.operands
  }

  private func isLookup(_ value: Value) -> Bool { find(throughReshapes(value), as: Gather.self) != nil }

  fileprivate mutating func joined(_ a: LookupProduct, _ b: LookupProduct) throws(NoMatch) -> Value {
    try require(a.contract == b.contract, "are products of other kinds")
    let copied = (a.weights + b.weights).reduce(0) { $0 + type(of: $1).bytes }
    try require(3 * a.result.bytes > 2 * copied, "copying the weights moves more than adding the products")
    let rows = try emit(Concatenate(axis: a.rowAxis), a.rows + b.rows)[0]
    let weights = try emit(Concatenate(axis: a.weightAxis), a.weights + b.weights)[0]
    return try emit(a.contract, rows, weights)
  }
}
