import IR
import Ops
import Rewriting

extension Pass {
  /// Makes contractions over a few streams part of the rows they belong to, instead of matrix products.
  ///
  ///     %u = contract %a, %h {equation = "btn,btnd->btd"}        // reads the streams: one tiny product a token
  /// ->
  ///     %u = contract %a, %h {equation = "btn,btnd->btd", isRowResident = true}
  ///
  /// A stream mix written as the paper writes it is a 4×4 matrix product for each token, the worst case of every library;
  /// a projection to a handful of coefficients is a product with a handful of columns. Unrolled inside a row, both are
  /// multiplications of values that are on chip anyway, and `fuse-rows` joins them with the norms, gates and writes
  /// around them.
  public static let fuseWidthExpansion = Pass("fuse-width-expansion", function: { (function, context) throws(Diagnostic) in
    for number in function.operations.indices {
      let operation = function.operations[number]
      guard let contract = operation.op as? Contract, !contract.isRowResident else { continue }
      let operands = operation.operands.map { function.type(of: $0) }
      if let reason = WidthExpansion.refusal(contract, operands, function.type(of: operation.results[0])) {
        context.refuse(
          "contract \(contract.equation) stays a matrix product", reason,
          bytes: function.type(of: operation.results[0]).bytes, at: operation.location)
        continue
      }
      guard context.allows() else { return }
      function.operations[number].op = Contract(contract.equation, isRowResident: true, isWide: contract.isWide)
      context.count("width expansions")
    }
  })
}

/// Which contractions are small within each row.
enum WidthExpansion {
  /// Extents below this are unrolled; at it and above a matrix product is the better way.
  static let few = 16
  /// Fewer rows than this are not worth a row-resident kernel.
  static let fewestRows = 16

  /// Why a contraction is better left a matrix product; `nil` if it is better row by row.
  static func refusal(_ op: Contract, _ operands: [TensorType], _ result: TensorType) -> String? {
    guard result.dtype.isFloat else { return "its elements are no floats" }
    let labels = op.labels
    let extents = labels.extents(operands[0], operands[1])
    guard extents.values.allSatisfy({ $0 > 0 }) else { return "it is empty" }
    guard labels.summed.allSatisfy({ labels.a.contains($0) && labels.b.contains($0) }) else {
      return "it sums over an axis of one operand alone"
    }
    func size(_ list: [Character]) -> Int { list.reduce(1) { $0 * extents[$1]! } }
    let isBatched = labels.result.contains { labels.a.contains($0) && labels.b.contains($0) }
    let sides = [
      size(labels.result.filter { labels.a.contains($0) && !labels.b.contains($0) }),
      size(labels.result.filter { labels.b.contains($0) && !labels.a.contains($0) }),
      size(labels.summed),
    ]
    let small = sides.count { $0 < few }
    guard small >= (isBatched ? 2 : 1) else { return "its sides \(sides) are long enough for a product" }
    let rows = RowShapes.own(Contract(op.equation, isRowResident: true, isWide: op.isWide), operands, [result]).max() ?? 0
    guard rows >= fewestRows else { return "it falls into \(rows) rows" }
    return nil
  }
}
