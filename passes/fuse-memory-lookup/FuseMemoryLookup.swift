import IR
import Ops
import Rewriting

extension Pass {
  /// Brings lookups in tables, and the updates of tables, into the forms that become one pipeline.
  ///
  ///     %0 = gather %table0, %ids0 : f32[4096, 64]
  ///     %1 = contract %0, %w0 {equation = "td,od->to"}
  ///     %2 = gather %table1, %ids1 : f32[4096, 64]
  ///     %3 = contract %2, %w1 {equation = "td,od->to"}
  ///     %4 = add %1, %3
  /// ->
  ///     %5 = concatenate %0, %2 {axis = 1} : f32[4096, 128]
  ///     %6 = concatenate %w0, %w1 {axis = 1}
  ///     %4 = contract %5, %6 {equation = "td,od->to"}
  ///
  /// `fuse-rows` then makes one region of row numbers, rows and their concatenation, so that no table's rows stand in memory
  /// by themselves; and of a table's update one region that reads and writes each touched row once.
  public static let fuseMemoryLookup = Pass("fuse-memory-lookup", function: { (function, context) throws(Diagnostic) in
    try function.rewrite(Pattern.memoryLookups, &context)
  })
}

extension Pattern {
  static let memoryLookups: [Pattern] = [distinctRows, mergedColumns, denseFromMerged, sumOfLookups]
}
