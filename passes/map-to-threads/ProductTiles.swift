import IR

/// How a product is cut up: for tensor cores where the elements allow, else for threads that multiply by themselves.
///
/// - Parameter iterations: how many such products there are, if blocks share their tiles; with few tiles in all, tiles are
///   made smaller.
func productTile(
  for product: Product, in kernel: Kernel, iterations: Int?, within limits: ThreadLimits
) -> ThreadMapping.ProductTile {
  guard let unit = tensorUnit(for: product, in: kernel, within: limits) else { return threadTile(for: product) }
  var tile = ThreadMapping.ProductTile(
    rows: 128, columns: 128, depth: 32, unit: unit, unitRows: 0, unitColumns: 0, pieces: 3,
    a: operand(product.a, side: \.rowStride, depth: \.columnStride, in: kernel),
    b: operand(product.b, side: \.columnStride, depth: \.rowStride, in: kernel))
  if limits.hasWarpgroups, suitsWarpgroups(product, as: tile, in: kernel) {
    return warpgroupTile(for: product, from: tile, iterations: iterations, within: limits)
  }
  if unit == .tf32 { tile.depth = 16 }
  while tile.rows > 32 && tile.rows / 2 >= product.m { tile.rows /= 2 }
  while tile.columns > 32 && tile.columns / 2 >= product.n { tile.columns /= 2 }
  while let iterations, tile.rows * tile.columns > 64 * 64, tile.count(of: product) * iterations < limits.multiprocessors {
    if tile.rows >= tile.columns { tile.rows /= 2 } else { tile.columns /= 2 }
  }
  // Two warps down and as many across as leave each of them at most 64 × 32 results in its registers.
  tile.unitRows = tile.rows / 2
  tile.unitColumns = tile.columns / (tile.rows * tile.columns >= 128 * 128 ? 4 : 2)
  return tile
}

/// Whether both operands come from global memory 16 bytes at once, and there is enough of the product for four warps.
private func suitsWarpgroups(_ product: Product, as tile: ThreadMapping.ProductTile, in kernel: Kernel) -> Bool {
  guard min(product.m, product.n, product.k) >= 64 else { return false }
  return [(product.a, tile.a), (product.b, tile.b)].allSatisfy { matrix, operand in
    let buffer = kernel.buffers[matrix.buffer.index]
    return buffer.role != .local && buffer.dtype.size == 2 && operand.width == 8
  }
}

/// 64 rows for each four warps, and two such groups where the product has as much: above each other, so that they share
/// the columns, or side by side.
private func warpgroupTile(
  for product: Product, from start: ThreadMapping.ProductTile, iterations: Int?, within limits: ThreadLimits
) -> ThreadMapping.ProductTile {
  var tile = start
  (tile.isOfWarpgroups, tile.depth, tile.pieces) = (true, 64, 4)
  tile.rows = product.m > 64 ? 128 : 64
  tile.columns = product.n > 128 ? 256 : product.n > 64 ? 128 : 64
  while let iterations, tile.columns > 64, tile.count(of: product) * iterations < limits.multiprocessors { tile.columns /= 2 }
  tile.unitRows = 64
  tile.unitColumns = tile.rows == 64 && tile.columns > 64 ? tile.columns / 2 : tile.columns
  return tile
}

/// The tensor cores that multiply these elements; `nil` where an operand is not contiguous along either side, or the
/// product is a matrix times a vector.
private func tensorUnit(
  for product: Product, in kernel: Kernel, within limits: ThreadLimits
) -> ThreadMapping.ProductTile.Unit? {
  guard min(product.m, product.n) >= 8, [product.a, product.b].allSatisfy({ $0.rowStride == 1 || $0.columnStride == 1 })
  else { return nil }
  let dtypes = [product.a, product.b].map { kernel.buffers[$0.buffer.index].dtype }
  switch (dtypes[0], dtypes[1]) {
  case (.bf16, .bf16): return .bf16
  case (.f16, .f16): return .f16
  case (.f32, .f32): return limits.allowsTF32 ? .tf32 : nil
  default: return nil
  }
}

/// 64 × 64 results a block, 4 × 4 a thread, halved along an axis as long as the product has less.
private func threadTile(for product: Product) -> ThreadMapping.ProductTile {
  var tile = ThreadMapping.ProductTile(rows: 64, columns: 64, depth: 16, unit: .thread, unitRows: 4, unitColumns: 4)
  while tile.rows > 4 && tile.rows / 2 >= product.m { tile.rows /= 2 }
  while tile.columns > 8 && tile.columns / 2 >= product.n { tile.columns /= 2 }
  // A few rows leave a block with few threads: then each thread has less.
  if tile.threads < 64 { tile.unitRows = 1 }
  if tile.threads < 64 { tile.unitColumns = 1 }
  return tile
}

/// How an operand is copied: along its contiguous side, 16 bytes at once where every line starts at such a place.
/// Buffers do.
private func operand(
  _ matrix: Product.Matrix, side: KeyPath<Product.Matrix, Int>, depth: KeyPath<Product.Matrix, Int>, in kernel: Kernel
) -> ThreadMapping.ProductTile.Operand {
  let isAlongDepth = matrix[keyPath: depth] == 1
  let stride = isAlongDepth ? matrix[keyPath: side] : matrix[keyPath: depth]
  let size = kernel.buffers[matrix.buffer.index].dtype.size
  let widths = [16, 8, 4].map { $0 / size }.filter { $0 > 1 || size == 4 }
  let width = widths.first { stride.isMultiple(of: $0) && matrix.offset.isMultiple(of: $0) }
  return ThreadMapping.ProductTile.Operand(isAlongDepth: isAlongDepth, width: width ?? 1)
}

/// A product in a stage that blocks can share, each doing a tile of it.
struct SharedProduct {
  let path: ThreadMapping.Path
  let product: Product
  /// Statements that store; one block is enough for them.
  var stores: Set<ThreadMapping.Path> = []
}

/// The stage's only product, if every block can do what stands before it and none needs what another one does:
///
///     parallel i { define g, first, count   if g >= 0 { product … }   if not g >= 0 { clear … } }
func sharedProduct(in stage: Loop, of kernel: Kernel) -> SharedProduct? {
  var found: (number: Int, condition: Scalar?, product: Product)?
  for (number, statement) in stage.body.enumerated() {
    switch statement {
    case .product(let product):
      guard found == nil else { return nil }
      found = (number, nil, product)
    case .conditional(let condition, let body):
      guard StageShape(body).products.isEmpty == false else { continue }
      guard found == nil, body.count == 1, case .product(let product) = body[0] else { return nil }
      found = (number, condition, product)
    case .define, .accumulator, .accumulate, .store, .loop:
      if !StageShape([statement]).products.isEmpty { return nil }
    }
  }
  guard let (number, condition, product) = found else { return nil }
  let own = [product.a.buffer, product.b.buffer, product.c.buffer]
  guard own.allSatisfy({ kernel.buffers[$0.index].role != .local }) else { return nil }
  var shared = SharedProduct(path: condition == nil ? [number] : [number, 0], product: product)
  for (other, statement) in stage.body.enumerated() where other != number {
    let shape = StageShape([statement])
    let stored = shape.stored.filter { kernel.buffers[$0.index].role != .local }
    if !excludes(statement, condition) {
      guard stored.isDisjoint(with: own), !shape.used.contains(product.c.buffer) else { return nil }
    }
    if !stored.isEmpty { shared.stores.insert([other]) }
  }
  return shared
}

/// Whether a statement does nothing where the condition holds.
private func excludes(_ statement: Statement, _ condition: Scalar?) -> Bool {
  guard case .conditional(let other, _) = statement, let condition else { return false }
  return other == .unary(.not, condition) || condition == .unary(.not, other)
}
