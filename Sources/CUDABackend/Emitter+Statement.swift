import IR

extension StageEmitter {
  mutating func write(_ body: [Statement]) throws(Violation) {
    var section: (rest: Int, section: ThreadMapping.Section)?
    for (number, statement) in body.enumerated() {
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
      try write(statement)
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
      write("\(type(variable.type)) \(name(variable)) = \(try expression(reduction.identity(variable.type)));")
    case .accumulate(let variable, let reduction, let value):
      let place = isInLane && partial.contains(variable) ? partialName(variable) : name(variable)
      write("\(place) = \(try accumulated(value, by: reduction, on: place, variable));")
    case .store(let buffer, let position, let value):
      let isOwn = isInLane || mapping.team == 1 || mapping.places[buffer]?.isOfThread == true
      let place = try place(buffer, position, isStore: true)
      write("\(isOwn ? "" : "if (lane == 0) ")\(place) = \(bare(stored(try expression(value), as: buffer)));")
    case .loop(let loop): try write(loop)
    case .conditional(let condition, let body):
      write("if (\(bare(try expression(condition)))) {")
      try writeBlock(body)
    case .product(let product): try write(product)
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
    if case .vector = loop.kind { isInLane = true }
    try writeBlock(loop.body)
    if case .vector = loop.kind { isInLane = false }
  }

  /// What each thread has in an accumulator that the next statement feeds lane by lane.
  mutating func writePartial(_ variable: Variable) throws(Violation) {
    guard let reduction = reductions[variable] else { throw "an accumulator is combined before it is declared" }
    partial.insert(variable)
    let identity = try expression(reduction.identity(variable.type))
    write("\(type(variable.type)) \(partialName(variable)) = \(identity);")
  }

  /// Makes one of what each thread has in accumulators; those of one kind are combined together.
  mutating func writeCombination(of variables: [Variable]) {
    let kinds = Dictionary(grouping: variables) { "\(how($0)) \(type($0.type))" }.values.sorted { $0[0].id < $1[0].id }
    write("{")
    indent += 1
    var slot = 0
    var groups: [(variables: [Variable], array: String, how: String, slots: String)] = []
    for variables in kinds {
      let type = type(variables[0].type), how = how(variables[0])
      let array = "parts\(groups.count)"
      write("\(type) \(array)[] = {\(variables.map { partialName($0) }.joined(separator: ", "))};")
      let start = slot == 0 ? "turn" : "(turn + \(slot))"
      groups.append((variables, array, how, "(\(type)*)(shared + \(start) * \(mapping.warps * 8))"))
      slot += variables.count
    }
    if mapping.isPartOfWarp {
      for group in groups {
        let parameters = "\(group.how), \(mapping.team), \(group.variables.count)"
        write("combine_team<\(parameters)>(mask, \(group.array));")
      }
    } else {
      for group in groups {
        write("combine_warp<\(group.how), \(group.variables.count)>(\(group.array), \(group.slots));")
      }
      write("__syncthreads();")
      for group in groups {
        let parameters = "\(group.how), \(mapping.threads), \(group.variables.count)"
        write("combine_slots<\(parameters)>(\(group.array), \(group.slots));")
      }
      let most = mapping.combinationBytes / (2 * mapping.warps * 8)
      write("turn = \(most) - turn;")
    }
    for group in groups {
      for (number, variable) in group.variables.enumerated() {
        write("\(name(variable)) = \(how(variable))::of(\(name(variable)), \(group.array)[\(number)]);")
      }
    }
    indent -= 1
    write("}")
    partial.subtract(variables)
  }

  func how(_ variable: Variable) -> String {
    switch reductions[variable] {
    case .sum?, nil: "Sum"
    case .maximum?: "Maximum"
    case .minimum?: "Minimum"
    case .any?: "Any"
    case .all?: "All"
    }
  }
}
