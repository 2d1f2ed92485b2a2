import IR

extension StageEmitter {
  mutating func write(_ body: [Statement]) throws(Violation) {
    for (number, statement) in body.enumerated() {
      path.append(number)
      if !isInLane && mapping.waits.contains(path) {
        write(mapping.isPartOfWarp ? "__syncwarp(mask);" : "__syncthreads();")
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
    }
  }

  mutating func write(_ statement: Statement) throws(Violation) {
    switch statement {
    case .define(let variable, let value):
      write("const \(type(variable.type)) \(name(variable)) = \(bare(try expression(value)));")
    case .accumulator(let variable, let reduction):
      reductions[variable] = reduction
      write("\(type(variable.type)) \(name(variable)) = \(try expression(reduction.identity(variable.type)));")
    case .accumulate(let variable, let reduction, let value):
      let isPartial = isInLane && partial.contains(variable)
      let combined = try expression(reduction.combine(.variable(variable), value), partially: isPartial ? variable : nil)
      write("\(isPartial ? partialName(variable) : name(variable)) = \(bare(combined));")
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

  mutating func writeBlock(_ body: [Statement]) throws(Violation) {
    indent += 1
    try write(body)
    indent -= 1
    write("}")
  }

  mutating func write(_ loop: Loop) throws(Violation) {
    let counter = name(loop.variable)
    var (first, step) = ("0", "\(counter)++")
    switch loop.kind {
    case .parallel: throw "a parallel loop stands inside a stage"
    case .serial: break
    case .vector:
      try require(!isInLane, "a vector loop stands inside another one")
      if let pack = mapping.packs[path] { return try write(loop, as: pack) }
      if mapping.team > 1 { (first, step) = ("lane", "\(counter) += \(mapping.team)") }
    }
    let limit = try loop.limit.map { (limit) throws(Violation) in " && \(counter) < \(try index(limit))" } ?? ""
    let type = counterType(loop.variable)
    write("for (\(type) \(counter) = \(first); \(counter) < \(loop.variable.extent)\(limit); \(step)) {")
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

  mutating func writeCombination(of variables: [Variable]) {
    if mapping.isPartOfWarp {
      for variable in variables {
        let lanes = "combine_lanes<\(how(variable)), \(mapping.team)>(\(partialName(variable)), mask)"
        write("\(name(variable)) = \(how(variable))::of(\(name(variable)), \(lanes));")
      }
    } else {
      let slots = variables.indices.map { slot in
        "(\(type(variables[slot].type))*)(shared + \(slot == 0 ? "turn" : "(turn + \(slot))") * \(mapping.warps * 8))"
      }
      for (variable, slots) in zip(variables, slots) {
        write("combine_warp<\(how(variable)), \(mapping.threads)>(\(partialName(variable)), \(slots));")
      }
      write("__syncthreads();")
      for (variable, slots) in zip(variables, slots) {
        let all = "combine_slots<\(how(variable)), \(mapping.threads)>(\(slots))"
        write("\(name(variable)) = \(how(variable))::of(\(name(variable)), \(all));")
      }
      let most = mapping.combinationBytes / (2 * mapping.warps * 8)
      write("turn = \(most) - turn;")
    }
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
