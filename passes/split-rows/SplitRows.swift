import IR
import Ops
import Rewriting

extension Pass {
  /// Takes row-sparse tensors apart into their row numbers and their rows, which are ordinary tensors.
  ///
  ///     func @f(%g: rows<4>f32[100, 8]) -> f32[100, 8] {
  ///       %0 = densify %g : f32[100, 8]
  ///       return %0
  ///     }
  /// ->
  ///     func @f(%g.ids: i64[4], %g.values: f32[4, 8]) -> f32[100, 8] {
  ///       %0 = scatter_add %g.ids, %g.values {rows = 100} : f32[100, 8]
  ///       return %0
  ///     }
  ///
  /// Kernels know nothing of row-sparse tensors, so lowering needs this pass. Making and taking apart cost nothing then.
  public static let splitRows = Pass("split-rows", isRequired: true, function: { (function, context) throws(Diagnostic) in
    let isSparse = (0..<function.valueCount).contains { function.type(of: Value($0)).rows != nil }
    guard isSparse else { return }
    var splitter = RowSplitter(function)
    for operation in function.operations { try splitter.split(operation) }
    function = splitter.finished()
    context.count("split", by: splitter.count)
  })
}

/// Builds the function anew, with two values wherever the old one has a row-sparse tensor.
private struct RowSplitter {
  /// A row-sparse tensor taken apart.
  private struct Pair {
    let ids: Value
    let values: Value
  }

  private let old: Function
  private var builder: FunctionBuilder
  private var dense: [Value: Value] = [:]
  private var sparse: [Value: Pair] = [:]
  /// How many row-sparse values there were.
  var count: Int { sparse.count }

  init(_ function: Function) {
    old = function
    builder = FunctionBuilder(name: function.name)
    for parameter in function.parameters {
      let (type, name) = (function.type(of: parameter), function.name(of: parameter))
      guard let parts = type.rowParts else {
        dense[parameter] = builder.parameter(type, name: name)
        continue
      }
      let ids = builder.parameter(parts.ids, name: name.isEmpty ? "" : name + ".ids")
      sparse[parameter] = Pair(ids: ids, values: builder.parameter(parts.values, name: name.isEmpty ? "" : name + ".values"))
    }
  }

  mutating func split(_ operation: Operation) throws(Diagnostic) {
    builder.location = operation.location
    let result = operation.results.first
    switch operation.op {
    case is MakeRows:
      sparse[operation.results[0]] = Pair(ids: try plain(operation, 0), values: try plain(operation, 1))
    case is RowIDs: dense[operation.results[0]] = try pair(operation, 0).ids
    case is RowValues: dense[operation.results[0]] = try pair(operation, 0).values
    case is Densify:
      let (rows, table) = (try pair(operation, 0), old.type(of: operation.operands[0]).shape[0])
      name(result, try builder.emit(ScatterAdd(rows: table), rows.ids, rows.values))
    case is ConcatenateRows:
      var pairs: [Pair] = []
      for number in operation.operands.indices { pairs.append(try pair(operation, number)) }
      sparse[operation.results[0]] =
        pairs.count == 1
        ? pairs[0]
        : Pair(
          ids: try builder.emit(Concatenate(axis: 0), pairs.map(\.ids))[0],
          values: try builder.emit(Concatenate(axis: 0), pairs.map(\.values))[0])
    case is MergeRows where operation.operands.count == 1:
      let rows = try pair(operation, 0)
      let table = old.type(of: operation.operands[0]).shape[0]
      let merged = try builder.emit(MergeRows(rows: table), [rows.ids, rows.values])
      sparse[operation.results[0]] = Pair(ids: merged[0], values: merged[1])
    default:
      var operands: [Value] = []
      for number in operation.operands.indices { operands.append(try plain(operation, number)) }
      let results = try builder.emit(operation.op, operands)
      for (before, after) in zip(operation.results, results) { name(before, after) }
    }
  }

  private mutating func name(_ before: Value?, _ after: Value) {
    guard let before else { return }
    dense[before] = after
    builder.function.setName(old.name(of: before), of: after)
  }

  private func plain(_ operation: Operation, _ number: Int) throws(Diagnostic) -> Value {
    if let value = dense[operation.operands[number]] { return value }
    let type = old.type(of: operation.operands[number])
    throw Diagnostic("'\(operation.op.name)' has no form that works on the parts of \(type)", at: operation.location)
  }

  private func pair(_ operation: Operation, _ number: Int) throws(Diagnostic) -> Pair {
    if let pair = sparse[operation.operands[number]] { return pair }
    let type = old.type(of: operation.operands[number])
    throw Diagnostic("'\(operation.op.name)' wants a row-sparse tensor, got \(type)", at: operation.location)
  }

  /// The new function: results in the old order, each row-sparse one as two, and the donations that still hold.
  func finished() -> Function {
    var function = builder.function
    var places: [[Int]] = []
    for (number, result) in old.results.enumerated() {
      let label = old.resultNames.indices.contains(number) ? old.resultNames[number] : ""
      let start = function.results.count
      if let pair = sparse[result] {
        function.results += [pair.ids, pair.values]
        if !old.resultNames.isEmpty {
          function.resultNames += label.isEmpty ? ["", ""] : [label + ".ids", label + ".values"]
        }
      } else {
        guard let value = dense[result] else { preconditionFailure("every value was split or kept") }
        function.results.append(value)
        if !old.resultNames.isEmpty { function.resultNames.append(label) }
      }
      places.append(Array(start..<function.results.count))
    }
    var next = 0
    for (number, parameter) in old.parameters.enumerated() {
      let parts = sparse[parameter] == nil ? 1 : 2
      if let result = old.donations[number], places[result].count == parts {
        for part in 0..<parts { function.donations[next + part] = places[result][part] }
      }
      next += parts
    }
    return function
  }
}

extension TensorType {
  /// The types of a row-sparse tensor's row numbers and rows.
  fileprivate var rowParts: (ids: TensorType, values: TensorType)? {
    rows.map { (TensorType(.i64, [$0]), TensorType(dtype, [$0] + shape.dropFirst())) }
  }
}
