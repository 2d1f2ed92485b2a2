import IR
import Ops
import Rewriting

extension Pass {
  /// Multiplies and sums the rows of a table as they are read, so that they are never written side by side.
  ///
  ///     %0 = gather %table, %ids : f32[2048, 128, 256]
  ///     %1 = contract %weights, %0 {equation = "nk,nkd->nd"}
  /// ->
  ///     %1 = gather_sum %table, %ids, %weights
  ///
  /// Likewise the gradient of the weights, `contract %dy, %0 {equation = "nd,nkd->nk"}`, which becomes `gather_dot`. It is
  /// done for a gather if it can be done for all that reads the rows.
  package static let fuseMemoryLookup = Pass("fuse-memory-lookup", function: { (function, context) throws(Diagnostic) in
    let uses = Uses(function)
    var fused: [Int: LookupMatch] = [:]
    for (number, operation) in function.operations.enumerated() where operation.op is Gather {
      let bytes = function.type(of: operation.results[0]).bytes
      do throws(Violation) {
        let matches = try LookupMatch.all(ofRowsMadeBy: number, in: function, uses)
        guard context.allows() else { break }
        fused.merge(matches) { first, _ in first }
        context.count("lookups")
      } catch {
        context.refuse("the rows of a gather are written to memory", error.message, bytes: bytes, at: operation.location)
      }
    }
    guard !fused.isEmpty else { return }
    let operations = function.operations
    function.operations = []
    for (number, operation) in operations.enumerated() {
      if let match = fused[number] {
        try match.emit(into: &function, for: operation)
      } else {
        function.operations.append(operation)
      }
    }
    function.removeDeadOperations()
    function.compact()
  })
}
