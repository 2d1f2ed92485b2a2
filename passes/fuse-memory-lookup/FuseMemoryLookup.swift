import IR
import Ops
import Rewriting

extension Pass {
  /// Brings lookups in tables, and the updates of tables, into the forms that read and write each row once.
  ///
  ///     %0 = gather %table, %ids : f32[2048, 128, 256]
  ///     %1 = contract %weights, %0 {equation = "nk,nkd->nd"}
  /// ->
  ///     %1 = gather_sum %table, %ids, %weights
  ///
  /// Rows that are multiplied and summed are so as they are read (`LookupMatch`); rows of several tables stand side by side
  /// in one product (`Lookups`); rows that go back to their table do so each by itself (`TableUpdates`).
  package static let fuseMemoryLookup = Pass("fuse-memory-lookup", function: { (function, context) throws(Diagnostic) in
    try function.rewrite(Pattern.memoryLookups, &context)
    try function.joinProducts(&context)
    // What were products are columns of one now.
    try function.rewrite([.mergedColumns], &context)
    try function.sumLookedUpRows(&context)
  })
}

extension Pattern {
  static let memoryLookups: [Pattern] = [
    distinctRows, mergedColumns, denseFromMerged, sumOfLookups, scatteredProduct,
  ]
}

extension Function {
  /// Makes a contraction of gathered rows one operation with the gather; likewise the gradient of the weights, `contract %dy,
  /// %0 {equation = "nd,nkd->nk"}`, which becomes `gather_dot`. It is done for a gather if it can be done for all that reads
  /// the rows.
  fileprivate mutating func sumLookedUpRows(_ context: inout PassContext) throws(Diagnostic) {
    let uses = Uses(self)
    var fused: [Int: LookupMatch] = [:]
    for (number, operation) in operations.enumerated() where operation.op is Gather {
      let bytes = type(of: operation.results[0]).bytes
      do throws(Violation) {
        let matches = try LookupMatch.all(ofRowsMadeBy: number, in: self, uses)
        guard context.allows() else { break }
        fused.merge(matches) { first, _ in first }
        context.count("lookups")
      } catch {
        context.refuse("the rows of a gather are written to memory", error.message, bytes: bytes, at: operation.location)
      }
    }
    guard !fused.isEmpty else { return }
    let before = operations
    operations = []
    for (number, operation) in before.enumerated() {
      if let match = fused[number] {
        try match.emit(into: &self, for: operation)
      } else {
        operations.append(operation)
      }
    }
    removeDeadOperations()
    compact()
  }
}
