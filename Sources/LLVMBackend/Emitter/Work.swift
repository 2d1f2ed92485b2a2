#if LLVM
import IR

/// How much a kernel does, in scalar operations; rough, and the same on every machine.
enum Work {
  /// Operations of the statements as they are written, inner loops times their extents.
  static func size(of body: [Statement]) -> Int {
    body.reduce(0) { $0.addingSaturated(size(of: $1)) }
  }

  /// Into how many pieces a stage is worth splitting: a piece should outweigh the time it takes to wake a thread.
  static func pieces(_ stage: Loop) -> Int {
    let work = size(of: stage.body).multipliedSaturated(by: stage.variable.extent)
    return Swift.max(1, work / worthwhile)
  }
  /// About ten microseconds of vector arithmetic.
  private static let worthwhile = 1 << 17

  private static func size(of statement: Statement) -> Int {
    switch statement {
    case .define(_, let scalar), .accumulate(_, _, let scalar), .store(_, _, let scalar): 1 + size(of: scalar)
    case .accumulator: 1
    case .conditional(let condition, let body): size(of: condition).addingSaturated(size(of: body))
    case .loop(let loop): size(of: loop.body).multipliedSaturated(by: loop.variable.extent)
    case .product(let product): product.m.multipliedSaturated(by: product.n).multipliedSaturated(by: product.k)
    }
  }

  private static func size(of scalar: Scalar) -> Int {
    var sum = 1
    scalar.forEachPart { sum += size(of: $0) }
    return sum
  }
}

extension Int {
  func addingSaturated(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
  func multipliedSaturated(by other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
#endif
