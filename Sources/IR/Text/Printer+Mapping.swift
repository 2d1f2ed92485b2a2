extension ThreadMapping {
  /// What was decided for each stage of a kernel, as text. Statements are named by their place: `2.0` is the first
  /// statement in the body of the third.
  public func text(for kernel: Kernel) -> String {
    let printer = MappingPrinter(kernel: kernel)
    let head = "threads of \(written("@", kernel.name))"
    let overlaps = overlapping.sorted { $0.index < $1.index }.map(printer.name)
    let memory = overlaps.isEmpty ? "" : ", one memory may be \(overlaps.joined(separator: ", "))"
    return head + memory + "\n" + stages.enumerated().map { printer.text(of: $1, number: $0) }.joined()
  }
}

private struct MappingPrinter {
  let kernel: Kernel

  func name(_ id: BufferID) -> String {
    kernel.buffers.indices.contains(id.index) ? written("%", kernel.buffers[id.index].name) : "%<buffer \(id.index)>"
  }

  func text(of stage: ThreadMapping.Stage, number: Int) -> String {
    var lines: [String] = []
    if let library = stage.library { lines.append("library: \(text(of: library))") }
    let teams = stage.teamsPerBlock == 1 ? "" : ", \(stage.teamsPerBlock) teams a block"
    let divided = stage.divided == nil ? "" : ", a tile each"
    lines.append("\(counted(stage.blocks, "block")), \(counted(stage.team, "thread")) a team\(teams)\(divided)")
    for (path, pack) in stage.packs.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      lines.append("\(text(of: path)): \(text(of: pack))")
    }
    for (path, tile) in stage.tiles.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      lines.append("product \(text(of: path)): \(text(of: tile))")
    }
    for path in stage.onlyFirstTile.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      lines.append("\(text(of: path)) by the first tile's block only")
    }
    for (id, place) in stage.places.sorted(by: { $0.key.index < $1.key.index }) {
      lines.append("\(name(id)) in \(text(of: place))")
    }
    for (path, variables) in stage.combinations.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      lines.append("\(variables.map { "v\($0.id)" }.joined(separator: ", ")) combined after \(text(of: path))")
    }
    for (path, turns) in stage.unrolling.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      lines.append("\(text(of: path)) written out \(counted(turns, "turn")) at a time")
    }
    for (path, section) in stage.sections.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let given = section.given.isEmpty ? "" : ", gives \(section.given.map { "v\($0.id)" }.joined(separator: ", ")) at \(section.at)"
      lines.append("\(text(of: path)) and \(section.count - 1) more by the first warp\(given)")
    }
    for path in stage.waits.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      lines.append("wait before \(text(of: path))")
    }
    lines.append("about \(stage.registers) registers a thread, \(counted(stage.residentBlocks, "block")) a multiprocessor")
    if stage.sharedBytes > 0 { lines.append("\(counted(stage.sharedBytes, "byte")) of shared memory") }
    if stage.scratchBytes > 0 { lines.append("\(counted(stage.scratchBytes, "byte")) of global memory for locals") }
    return "  stage \(number)\n" + lines.map { "    \($0)\n" }.joined()
  }

  private func counted(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }

  private func text(of path: ThreadMapping.Path) -> String { path.map(String.init).joined(separator: ".") }

  private func text(of place: ThreadMapping.Place) -> String {
    switch place {
    case .thread: "each thread"
    case .shared(let at, let stride): "shared memory at \(at), \(stride) bytes a team"
    case .scratch(let at, let stride): "global memory at \(at), \(stride) bytes a team"
    case .registers(let planes, let turns, let width):
      "registers, \(counted(planes.count, "plane")) of \(turns) × \(width) a thread"
    }
  }

  private func text(of tile: ThreadMapping.ProductTile) -> String {
    let sizes = "\(tile.rows) × \(tile.columns) × \(tile.depth) at \(tile.at), \(tile.unitRows) × \(tile.unitColumns)"
    if tile.unit == .thread { return "\(sizes) a thread" }
    let widths = "\(tile.a.width) and \(tile.b.width) elements at once"
    let unit = tile.isOfWarpgroups ? "four warps" : "a warp"
    return "\(sizes) \(unit) by \(tile.unit.rawValue) tensor cores, \(tile.pieces) pieces, \(widths)"
  }

  private func text(of pack: ThreadMapping.LanePack) -> String {
    func names(_ accesses: [ThreadMapping.LanePack.Access]) -> String {
      accesses.map { name($0.buffer) }.joined(separator: ", ")
    }
    var parts = ["\(counted(pack.width, "lane")) at a time"]
    if let turns = pack.turns { parts[0] += " in \(counted(turns, "turn"))" }
    if !pack.loads.isEmpty { parts.append("loads \(names(pack.loads)) at once") }
    let ahead = pack.loads.filter { pack.ahead[$0] != nil }
    if !ahead.isEmpty { parts.append("\(names(ahead)) an iteration ahead, from \(ahead.compactMap { pack.ahead[$0] }.min() ?? 0) on") }
    if !pack.stores.isEmpty { parts.append("stores \(names(pack.stores)) at once") }
    return parts.joined(separator: ", ")
  }

  private func text(of product: LibraryProduct) -> String {
    let batch = product.batch == 1 ? "" : ", batch \(product.batch)"
    let calls = product.calls.isEmpty ? "" : ", calls " + product.calls.map(String.init).joined(separator: " × ")
    let sign = product.accumulates ? "+=" : "="
    let (a, b) = (text(of: product.a, in: product), text(of: product.b, in: product))
    let sizes = "\(product.m) × \(product.n) × \(product.k)\(batch)\(calls)\(product.allowsTF32 ? ", tf32" : "")"
    return "\(sizes): \(text(of: product.d, in: product)) \(sign) \(a) · \(b)"
  }

  private func text(of operand: LibraryProduct.Operand, in product: LibraryProduct) -> String {
    var strides = operand.callStrides.map(String.init)
    if product.batch > 1 { strides.append(String(operand.batchStride)) }
    let steps = strides.isEmpty ? "" : "; steps " + strides.joined(separator: ", ")
    return "\(name(operand.buffer))[\(operand.offset); by \(operand.leading)\(steps)]\(operand.isTransposed ? "ᵀ" : "")"
  }
}
