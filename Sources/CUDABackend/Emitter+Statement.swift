import IR

extension StageEmitter {
  mutating func write(_ body: [Statement]) throws(Violation) {
    var section: (rest: Int, section: ThreadMapping.Section)?
    var written = 0
    for (number, statement) in body.enumerated() where number >= written {
      path.append(number)
      if !isInLane && mapping.waits.contains(path) {
        write(mapping.isPartOfWarp ? "__syncwarp(mask);" : "__syncthreads();")
      }
      if !isInLane, let begun = mapping.sections[path] {
        section = (begun.count, begun)
        write("if (threadIdx.x < 32) {")
        indent += 1
      }
      let combined = isInLane ? nil : mapping.combinations[path]
      for variable in combined ?? [] { try writePartial(variable) }
      let isForOneBlock = !isInLane && mapping.onlyFirstTile.contains(path)
      if isForOneBlock {
        write("if (tile == 0) {")
        indent += 1
      }
      let products = productRun(in: body, from: number)
      if products.isEmpty { try write(statement) } else { try write(products) }
      written = number + max(1, products.count)
      if let combined { writeCombination(of: combined) }
      if isForOneBlock {
        indent -= 1
        write("}")
      }
      path.removeLast()
      if let (rest, begun) = section {
        section = rest > 1 ? (rest - 1, begun) : nil
        if rest == 1 { writeEnd(of: begun) }
      }
    }
  }

  /// What the first warp has found out goes to all others.
  private mutating func writeEnd(of section: ThreadMapping.Section) {
    var places: [String] = []
    var at = section.at
    for variable in section.given {
      places.append("*(\(self.type(variable.type == .bool ? .i32 : variable.type))*)(shared + \(at))")
      at += variable.bytes
    }
    if !places.isEmpty {
      write("if (lane == 0) {")
      indent += 1
      for (variable, place) in zip(section.given, places) { write("\(place) = \(name(variable));") }
      indent -= 1
      write("}")
    }
    indent -= 1
    write("}")
    write("__syncthreads();")
    for (variable, place) in zip(section.given, places) { write("const \(type(variable.type)) \(name(variable)) = \(place);") }
  }

  mutating func write(_ statement: Statement) throws(Violation) {
    switch statement {
    case .define(let variable, let value):
      write("const \(type(variable.type)) \(name(variable)) = \(bare(try expression(value)));")
    case .accumulator(let variable, let reduction):
      reductions[variable] = reduction
      fresh.insert(variable)
      write("\(type(variable.type)) \(name(variable)) = \(try expression(reduction.identity(variable.type)));")
    case .accumulate(let variable, let reduction, let value):
      let place = isInLane && partial.contains(variable) ? partialName(variable) : name(variable)
      if place == name(variable) { fresh.remove(variable) }
      write("\(place) = \(try accumulated(value, by: reduction, on: place, variable));")
    case .store(let buffer, let position, let value):
      let isOwn = isInLane || mapping.team == 1 || mapping.places[buffer]?.isOfThread == true
      let place = try place(buffer, position, isStore: true)
      write("\(isOwn ? "" : "if (lane == 0) ")\(place) = \(bare(stored(try expression(value), as: buffer)));")
    case .loop(let loop): try write(loop)
    case .conditional(let condition, let body):
      write("if (\(bare(try expression(condition)))) {")
      try writeBlock(body)
    case .product(let product): try write([product])
    }
  }

  /// One more value on an accumulator; a product is rounded with the sum, as the CPU does it.
  private mutating func accumulated(
    _ value: Scalar, by reduction: Reduction, on place: String, _ variable: Variable
  ) throws(Violation) -> String {
    if case .binary(.multiply, let a, let b) = value, reduction == .sum, variable.type == .f32 {
      return "fmaf(\(bare(try expression(a))), \(bare(try expression(b))), \(place))"
    }
    let isPartial = place == partialName(variable)
    return bare(try expression(reduction.combine(.variable(variable), value), partially: isPartial ? variable : nil))
  }

  mutating func writeBlock(_ body: [Statement]) throws(Violation) {
    indent += 1
    try write(body)
    indent -= 1
    write("}")
  }

  mutating func write(_ loop: Loop) throws(Violation) {
    let counter = name(loop.variable)
    let (type, extent) = (counterType(loop.variable), loop.variable.extent)
    var (first, step) = ("0", "\(counter)++")
    let limit = try loop.limit.map { (limit) throws(Violation) in " && \(counter) < \(try index(limit))" } ?? ""
    switch loop.kind {
    case .parallel: throw "a parallel loop stands inside a stage"
    case .serial: break
    case .vector:
      try require(!isInLane, "a vector loop stands inside another one")
      if let pack = mapping.packs[path] { return try write(loop, as: pack) }
      if mapping.team > 1 { (first, step) = ("lane", "\(counter) += \(mapping.team)") }
    }
    if first == "lane", extent <= mapping.team, loop.limit == nil {
      writeOneTurn(counter, type, from: first, below: "\(extent)")
      indent -= 1
    } else {
      if let turns = mapping.unrolling[path] { write("#pragma unroll \(turns)") }
      write("for (\(type) \(counter) = \(first); \(counter) < \(extent)\(limit); \(step)) {")
    }
    if case .vector = loop.kind { isInLane = true } else { fresh = [] }
    try writeBlock(loop.body)
    if case .vector = loop.kind { isInLane = false } else { fresh = [] }
  }
}
