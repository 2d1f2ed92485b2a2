#if LLVM
internal import CLLVM
import IR

extension StageEmitter {
  /// The name by which compiled code calls the library's product.
  static let productSymbol = "millrace_sgemm"

  /// Large products of f32 are the library's; what it does not know, or is too small to be worth a call, becomes loops.
  func emit(_ product: Product) throws(Diagnostic) {
    guard vector == nil else { throw unsupported("has a product inside a vector loop") }
    let dtypes = [product.a, product.b, product.c].map { kernel.buffers[$0.buffer.index].dtype }
    guard dtypes.allSatisfy(\.isFloat) else { throw unsupported("multiplies matrices of \(dtypes.map(\.rawValue))") }
    if product.m == 0 || product.n == 0 || product.k == 0 && product.accumulates { return }
    if dtypes.allSatisfy({ $0 == .f32 }), isForLibrary(product) {
      callLibrary(product)
      return
    }
    // Names above all of the kernel's own; loops of two products never meet in one expression.
    var loops = ProductLoops(
      product, registers: target.registers, lanes: target.lanes, firstName: 1 << 40
    ) { self.kernel.buffers[$0.index].dtype }
    try emit(loops.statements())
  }

  /// Whether the library is faster than loops, which run near the peak of the multipliers while one operand stays in the second
  /// cache. It copies operands to where it likes them: that pays for short dot products, whose sums across lanes
  /// cost most, and where an operand of a megabyte is read for many rows. Measured with AVX-512.
  private func isForLibrary(_ product: Product) -> Bool {
    let (m, n, k) = (product.m, product.n, product.k)
    let isShort = k < 256 && m >= 8 && n >= 8 && m.multipliedSaturated(by: n * k) >= 1 << 12
    if isShort && ProductLoops.isDot(product) { return true }
    return min(m, n) >= 256 && n.multipliedSaturated(by: k) > 1 << 18
  }

  private func callLibrary(_ product: Product) {
    func limited(_ extent: Int, _ limit: Position?) -> LLVMValueRef {
      limit.map { minimum(code.integer(Int64(extent)), uniform($0)) } ?? code.integer(Int64(extent))
    }
    let depth = limited(product.k, product.depthLimit)
    var arguments = [limited(product.m, product.rowLimit), code.integer(Int64(product.n)), depth]
    for matrix in [product.a, product.b, product.c] {
      let place = code.offset(base(matrix.buffer), code.f32, by: uniform(matrix.offset))
      arguments.append(code.bitcast(place, to: code.pointer))
      arguments.append(code.integer(Int64(matrix.rowStride)))
      arguments.append(code.integer(Int64(matrix.columnStride)))
    }
    arguments.append(code.integer(product.accumulates ? 1 : 0))
    code.callExternal(Self.productSymbol, arguments)
  }
}
#endif
