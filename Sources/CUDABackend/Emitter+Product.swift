import IR

extension StageEmitter {
  mutating func write(_ product: Product) throws(Violation) {
    guard let tile = mapping.tiles[path] else { throw "a product has no tile" }
    try require(!isInLane, "a product stands inside a vector loop")
    var m = "\(product.m)"
    if let limit = product.rowLimit { m = "(int)minimum((long long)\(m), (long long)(\(try index(limit))))" }
    var k = "\(product.k)"
    if let limit = product.depthLimit { k = "(int)minimum((long long)\(k), (long long)(\(try index(limit))))" }
    let isDivided = mapping.divided == path
    if !isDivided {
      write("for (int tile = 0; tile < \(tile.count(of: product)); tile++)")
      indent += 1
    }
    write("\(function(for: product, as: tile))(")
    indent += 2
    write("shared + \(tile.at), tile, \(m), \(product.n), \(k),")
    write("\(try matrix(product.a)),")
    write("\(try matrix(product.b)),")
    write("\(try matrix(product.c)));")
    indent -= isDivided ? 2 : 3
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

  private mutating func matrix(_ matrix: Product.Matrix) throws(Violation) -> String {
    let offset = try index(matrix.offset)
    let place = "\(name(matrix.buffer))\(offset == "0" ? "" : " + \(offset)")"
    return "matrix(\(place), \(matrix.rowStride), \(matrix.columnStride))"
  }
}
