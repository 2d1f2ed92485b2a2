import IR
import Rewriting

/// The passes in the order in which they run. This is the only registry; the order is part of what it says.
public enum Pipelines {
  /// Brings a program into the form that later passes work on.
  public static let preparation: [Pass] = [
    // Before all others, so that they see the concatenations and sums that row-sparse tensors stand for.
    .splitRows
  ]

  /// Makes a program better at tensor level; every pass may be left out.
  public static let optimization: [Pass] = [
    // While it stands as the model wrote it; of what is trained it was found before the gradients were made.
    .fuseAttention,
    // Algebra first, and what it leaves behind goes: everything after works on less.
    .simplify,
    .shareSubexpressions,
    .removeDeadCode,
    // Rows of tables are summed as they are read, and their updates written each by itself; before the contractions that do
    // it become anything else.
    .fuseMemoryLookup,
    // Contractions over streams join the rows around them; before rows are formed, since it decides what can join.
    .fuseWidthExpansion,
    // Last at tensor level: what it outlines, no other pass looks into.
    .fuseRows,
  ]

  /// Turns a program into kernels.
  public static let lowering: [Pass] = [
    .lowerToKernels,
    // What ops build by hand joins its neighbours, now that all are kernels.
    .fuseLaunches,
    // Last: it only looks into the blocks of kernels, and no pass after it would find a product by itself.
    .fuseMultiplyAdds,
  ]

  /// The whole way to a backend.
  public static let all: [Pass] = preparation + optimization + lowering

  /// The whole way with products of bf16: they are found when all algebra is done, and the casts become parts of rows; and
  /// with memory of bf16: what passes through it is known when rows are formed.
  public static let allInBF16: [Pass] = all.flatMap { pass -> [Pass] in
    switch pass.name {
    case Pass.fuseWidthExpansion.name: [.lowerPrecision, pass]
    case Pass.fuseRows.name: [.fuseRowsStoringBF16, .narrowStorage]
    default: [pass]
    }
  }

  /// Every pass there is, those outside the pipeline too.
  public static let known: [Pass] = [.differentiate, .lowerPrecision, .narrowStorage] + all
}
