import IR
import Ops
import Rewriting

/// A contraction of gathered rows, as a sum of rows or as products with them.
///
/// The rows are `[lead…, picks…, slices…, elements…]`: an id for each lead and pick, a row cut into slices of elements.
///
///     sum       [lead…, picks…, blocks…, slices…] · rows → [lead…, blocks…, slices…, elements…]
///     products  [lead…, blocks…, slices…, elements…] · rows → [lead…, picks…, blocks…, slices…]
struct LookupMatch {
  private let table, ids, other: Value
  private let isSum: Bool
  /// How many there are of each.
  private let lead, picks, blocks, slices, elements: Int

  /// Most ids of a single list, which one thread goes through.
  private static let longestList = 1 << 13

  /// The contractions that read the rows of a gather, by operation; throws if anything else reads them.
  static func all(
    ofRowsMadeBy gather: Int, in function: Function, _ uses: Uses
  ) throws(Violation) -> [Int: LookupMatch] {
    let operation = function.operations[gather]
    let (table, ids) = (function.type(of: operation.operands[0]), function.type(of: operation.operands[1]))
    try require(table.rank == 2 && table.dtype.isFloat, "the table has no rows of floats")
    var matches: [Int: LookupMatch] = [:]
    var views = [operation.results[0]]
    while let view = views.popLast() {
      try require(!uses.isReturned[view.index], "the function returns them")
      for reader in uses.readers[view.index] {
        let reading = function.operations[reader]
        switch reading.op {
        case is Reshape, is Cast: views.append(reading.results[0])
        case let contract as Contract where reading.operands[0] != reading.operands[1]:
          let types = reading.operands.map { function.type(of: $0) }
          matches[reader] = try LookupMatch(
            contract, reading.operands, types, rows: reading.operands[0] == view ? 0 : 1, operation.operands, ids)
        default: throw Violation("'\(reading.op.name)' reads them whole")
        }
      }
    }
    try require(!matches.isEmpty, "nothing sums them")
    return matches
  }

  private init(
    _ op: Contract, _ operands: [Value], _ types: [TensorType], rows: Int, _ source: [Value], _ ids: TensorType
  ) throws(Violation) {
    let rowType = types[rows]
    try require(rowType.dtype == .f32 && rowType.count > 0, "they are multiplied in \(rowType.dtype.rawValue)")
    try require(
      Array(rowType.shape.prefix(ids.rank)) == ids.shape && rowType.rank > ids.rank, "they are cut across their ids")
    let labels = op.labels
    let (own, others, result) = (rows == 0 ? labels.a : labels.b, rows == 0 ? labels.b : labels.a, labels.result)
    func isShared(_ label: Character) -> Bool { others.contains(label) && result.contains(label) }

    let numbers = own.prefix(ids.rank)
    let leads = numbers.prefix { isShared($0) }
    let picked = numbers.dropFirst(leads.count)
    let row = own.dropFirst(ids.rank)
    let sliced = row.prefix { isShared($0) }
    let rest = row.dropFirst(sliced.count)
    let blocked = others.filter { result.contains($0) && !own.contains($0) }
    let long = Array(leads) + blocked + sliced + rest
    let short = Array(leads) + picked + blocked + sliced
    try require(!picked.isEmpty && !rest.isEmpty, "each is used by itself")
    isSum = others == short && result == long
    try require(isSum || (others == long && result == short), "they are not summed by their ids, nor along each row")

    let extents = labels.extents(types[0], types[1])
    func count(_ list: some Sequence<Character>) -> Int { list.reduce(1) { $0 * (extents[$1] ?? 1) } }
    (lead, picks, blocks) = (count(leads), count(picked), count(blocked))
    (slices, elements) = (count(sliced), count(rest))
    try require(!leads.isEmpty, "all ids are one list, whose rows a matrix product reads")
    try require(lead > 1 || picks <= Self.longestList, "there is one list of \(picks) ids")
    (table, self.ids, other) = (source[0], source[1], operands[1 - rows])
  }

  /// Writes the fused operation in the place of the contraction.
  func emit(into function: inout Function, for contraction: Operation) throws(Diagnostic) {
    var builder = FunctionBuilder(function)
    builder.location = contraction.location
    func shaped(_ value: Value, _ shape: [Int]) throws(Diagnostic) -> Value {
      builder.function.type(of: value).shape == shape ? value : try builder.emit(Reshape(shape: shape), value)
    }
    let lists = try shaped(ids, [lead, picks])
    let fused: Value
    if isSum {
      let weights = try shaped(other, [lead, picks, blocks, slices])
      fused = try builder.emit(GatherSum(), table, lists, weights)
    } else {
      let vectors = try shaped(other, [lead, blocks, slices * elements])
      fused = try builder.emit(GatherDot(slices: slices), table, lists, vectors)
    }
    let result = contraction.results[0]
    let shape = builder.function.type(of: result).shape
    builder.function.operations.append(Operation(Reshape(shape: shape), [fused], [result], at: contraction.location))
    function = builder.function
  }
}
