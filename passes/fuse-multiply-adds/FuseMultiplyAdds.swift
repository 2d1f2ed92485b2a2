import IR
import Rewriting

extension Pass {
  /// Makes one operation, rounded once, of a product and the sum it is a term of.
  ///
  ///     v3 = v0 * v1
  ///     v4 = v3 + v2
  /// ->
  ///     v4 = fma(v0, v1, v2)
  ///
  /// Processors do it in the time of an addition, so a row that is limited by arithmetic takes less of it. The product is
  /// read by nothing else, and in the same block, so that nothing is computed more often than before. Which products are
  /// fused stands in the kernel; a backend fuses no others.
  public static let fuseMultiplyAdds = Pass("fuse-multiply-adds", module: { (module, context) in
    for index in module.kernels.indices {
      var fusion = MultiplyAddFusion(module.kernels[index])
      module.kernels[index].body = fusion.fuse(module.kernels[index].body, &context)
    }
  })
}

private struct MultiplyAddFusion {
  /// How often each variable is read.
  private var uses: [Variable: Int] = [:]
  /// Products of the block we are in that may become part of a sum, and where they stand.
  private var products: [Variable: (a: Scalar, b: Scalar, place: Int)] = [:]
  /// Accumulators by the last statement of the block that feeds them.
  private var lastFeed: [Variable: Int] = [:]
  /// Products that became part of a sum.
  private var taken: Set<Variable> = []

  init(_ kernel: Kernel) {
    for stage in kernel.body { stage.forEachVariable { uses[$0, default: 0] += 1 } }
  }

  mutating func fuse(_ block: [Statement], _ context: inout PassContext) -> [Statement] {
    let outer = (products, lastFeed)
    defer { (products, lastFeed) = outer }
    (products, lastFeed) = ([:], feeds(of: block))
    var result: [Statement] = []
    for (place, statement) in block.enumerated() {
      switch statement {
      case .define(let variable, let value):
        let value = fused(value, at: place, &context)
        if case .binary(.multiply, let a, let b) = value, value.type == .f32, uses[variable] == 1, isPlain(a), isPlain(b) {
          products[variable] = (a, b, place)
        }
        result.append(.define(variable, value))
      case .accumulate(let variable, let reduction, let value):
        var value = fused(value, at: place, &context)
        // What is summed is rounded with the sum.
        if reduction == .sum, case .variable = value, let (a, b) = product(value, at: place), context.allows() {
          take(value, &context)
          value = .binary(.multiply, a, b)
        }
        result.append(.accumulate(variable, reduction, value))
      case .store(let buffer, let position, let value):
        result.append(.store(buffer, position, fused(value, at: place, &context)))
      case .loop(var loop):
        loop.body = fuse(loop.body, &context)
        result.append(.loop(loop))
      case .conditional(let condition, let inner):
        result.append(.conditional(fused(condition, at: place, &context), fuse(inner, &context)))
      case .accumulator, .product: result.append(statement)
      }
    }
    return result.filter { statement in
      guard case .define(let variable, _) = statement else { return true }
      return !taken.contains(variable)
    }
  }

  private mutating func fused(_ scalar: Scalar, at place: Int, _ context: inout PassContext) -> Scalar {
    let scalar = scalar.mapParts { fused($0, at: place, &context) }
    guard scalar.type == .f32, case .binary(let function, let x, let y) = scalar, [.add, .subtract].contains(function) else {
      return scalar
    }
    if let (a, b) = product(x, at: place), context.allows() {
      take(x, &context)
      return .fusedMultiplyAdd(a, b, function == .add ? y : negated(y))
    }
    if let (a, b) = product(y, at: place), context.allows() {
      take(y, &context)
      return .fusedMultiplyAdd(function == .add ? a : negated(a), b, x)
    }
    return scalar
  }

  /// The factors, if the expression is a product that can be computed here as well.
  private func product(_ scalar: Scalar, at place: Int) -> (a: Scalar, b: Scalar)? {
    if case .binary(.multiply, let a, let b) = scalar { return (a, b) }
    guard case .variable(let variable) = scalar, let product = products[variable] else { return nil }
    var isChanged = false
    for factor in [product.a, product.b] {
      factor.forEachVariable { isChanged = isChanged || lastFeed[$0] ?? -1 > product.place }
    }
    return isChanged ? nil : (product.a, product.b)
  }

  private mutating func take(_ scalar: Scalar, _ context: inout PassContext) {
    if case .variable(let variable) = scalar {
      taken.insert(variable)
      products[variable] = nil
    }
    context.count("fused")
  }

  private func negated(_ scalar: Scalar) -> Scalar {
    if case .float(let value) = scalar { return .float(-value) }
    if case .unary(.negate, let positive) = scalar { return positive }
    return .unary(.negate, scalar)
  }

  /// Whether an expression gives the same in the rest of the block: it reads no memory.
  private func isPlain(_ scalar: Scalar) -> Bool { !scalar.reads { _, _ in true } }

  private func feeds(of block: [Statement]) -> [Variable: Int] {
    var feeds: [Variable: Int] = [:]
    for (place, statement) in block.enumerated() {
      statement.forEachStatement { if case .accumulate(let variable, _, _) = $0 { feeds[variable] = place } }
    }
    return feeds
  }
}
