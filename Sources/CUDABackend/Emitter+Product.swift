import IR

extension StageEmitter {
  /// One product or several in a row that differ in their matrices only, which are a loop: a product is a lot of code.
  ///
  ///     for (int part = 0; part < 2; part++)
  ///       product_tile<64, 64, 16, 4, 4, false, 256>(
  ///           shared + 0, tile, 64, 64, 32, matrix((part == 0 ? b0_q : b1_dy), 32, 1), …);
  mutating func write(_ products: [Product]) throws(Violation) {
    let product = products[0]
    guard let tile = mapping.tiles[path] else { throw "a product has no tile" }
    try require(!isInLane, "a product stands inside a vector loop")
    var m = "\(product.m)"
    if let limit = product.rowLimit { m = "(int)minimum((long long)\(m), (long long)(\(try index(limit))))" }
    var k = "\(product.k)"
    if let limit = product.depthLimit { k = "(int)minimum((long long)\(k), (long long)(\(try index(limit))))" }
    let isDivided = mapping.divided == path
    let start = indent
    productCount += 1
    if products.count > 1 {
      write("#pragma unroll 1")
      write("for (int part = 0; part < \(products.count); part++)")
      indent += 1
    }
    if !isDivided {
      write("for (int tile = 0; tile < \(tile.count(of: product)); tile++)")
      indent += 1
    }
    write("\(function(for: product, as: tile))(")
    indent += 2
    write("shared + \(tile.at), tile, \(m), \(product.n), \(k),")
    write("\(try matrix(products.map(\.a))),")
    write("\(try matrix(products.map(\.b))),")
    write("\(try matrix(products.map(\.c))));")
    indent = start
  }

  /// How many of the statements from one on are products that differ in their matrices only: in the buffers, those of one
  /// kind of memory, and where they start.
  func productRun(in body: [Statement], from first: Int) -> [Product] {
    guard case .product(let product) = body[first], mapping.divided == nil else { return [] }
    let here = path.dropLast()
    var run = [product]
    for case .product(let next) in body[(first + 1)...].prefix(while: { if case .product = $0 { true } else { false } }) {
      let number = first + run.count
      guard isAlike(product, next), !mapping.waits.contains(here + [number]),
        mapping.tiles[here + [first]] == mapping.tiles[here + [number]]
      else { break }
      run.append(next)
    }
    return run
  }

  private func isAlike(_ a: Product, _ b: Product) -> Bool {
    let sizes = [\Product.m, \.n, \.k], limits = [\Product.rowLimit, \.depthLimit], matrices = [\Product.a, \.b, \.c]
    return sizes.allSatisfy { a[keyPath: $0] == b[keyPath: $0] } && limits.allSatisfy { a[keyPath: $0] == b[keyPath: $0] }
      && a.accumulates == b.accumulates
      && matrices.allSatisfy { isAlike(a[keyPath: $0], b[keyPath: $0]) } && canStorePairs(a) == canStorePairs(b)
  }

  private func isAlike(_ a: Product.Matrix, _ b: Product.Matrix) -> Bool {
    a.rowStride == b.rowStride && a.columnStride == b.columnStride && isOnChip(a.buffer) == isOnChip(b.buffer)
      && kernel.buffers[a.buffer.index].dtype == kernel.buffers[b.buffer.index].dtype
  }

  /// The function of the device library that does one tile.
  private func function(for product: Product, as tile: ThreadMapping.ProductTile) -> String {
    if tile.isOfWarpgroups {
      let operands = [tile.a.isAlongDepth, tile.b.isAlongDepth, canStorePairs(product), product.accumulates]
      let sizes = [tile.rows, tile.columns, tile.unitColumns, tile.pieces].map(String.init)
      return "warpgroup_tile<\((sizes + operands.map(String.init)).joined(separator: ", "))>"
    }
    var parameters = [tile.rows, tile.columns, tile.depth, tile.unitRows, tile.unitColumns].map(String.init)
    let name: String
    switch tile.unit {
    case .thread: name = "product_tile"
    case .bf16, .f16, .tf32:
      name = "tensor_tile"
      parameters.append("\(tile.pieces)")
      parameters += [(product.a, tile.a), (product.b, tile.b)].map { matrix, operand in
        "Piece<\(operand.isAlongDepth), \(operand.width), \(isOnChip(matrix.buffer))>"
      }
      parameters.append("\(canStorePairs(product))")
    }
    parameters += ["\(product.accumulates)", "\(mapping.threads)"]
    return "\(name)<\(parameters.joined(separator: ", "))>"
  }

  /// Whether a buffer is in shared memory, from where nothing is copied past the registers.
  private func isOnChip(_ id: BufferID) -> Bool {
    if case .shared? = mapping.places[id] { return true }
    return false
  }

  /// Whether two neighbouring results of a row lie side by side, at the place of a pair.
  private func canStorePairs(_ product: Product) -> Bool {
    let c = product.c
    return c.columnStride == 1 && c.rowStride.isMultiple(of: 2) && product.n.isMultiple(of: 2) && c.offset.isMultiple(of: 2)
  }

  private mutating func matrix(_ matrices: [Product.Matrix]) throws(Violation) -> String {
    var places: [String] = []
    for matrix in matrices {
      let offset = try index(matrix.offset)
      places.append("\(name(matrix.buffer))\(offset == "0" ? "" : " + \(offset)")")
    }
    var place = places[places.count - 1]
    for (part, other) in places.enumerated().dropLast().reversed() where other != place { place = "(part == \(part) ? \(other) : \(place))" }
    return "matrix(\(place), \(matrices[0].rowStride), \(matrices[0].columnStride))"
  }
}
