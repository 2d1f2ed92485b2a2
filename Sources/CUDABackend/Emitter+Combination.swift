import IR

/// Accumulators that lanes feed: each thread has a part, and the parts become one.
extension StageEmitter {
  /// What each thread has in an accumulator that the next statement feeds lane by lane.
  mutating func writePartial(_ variable: Variable) throws(Violation) {
    guard let reduction = reductions[variable] else { throw "an accumulator is combined before it is declared" }
    partial.insert(variable)
    let identity = try expression(reduction.identity(variable.type))
    write("\(type(variable.type)) \(partialName(variable)) = \(identity);")
  }

  /// Makes one of what each thread has in accumulators; those of one kind are combined together.
  ///
  ///     v1_part = halve<Sum, 16>(mask, v1_part, v2_part);      as long as there are several, a lane keeps half of them
  ///     v1_part = fold<Sum, 8>(mask, v1_part);   …             then all lanes that have the same value make it one
  ///
  /// In a block of several warps each leaves its values in shared memory, and each lane combines one of them warp by warp.
  mutating func writeCombination(of variables: [Variable]) {
    let kinds = Dictionary(grouping: variables) { "\(how($0)) \(type($0.type))" }.values.sorted { $0[0].id < $1[0].id }
    let lanes = mapping.isPartOfWarp ? mapping.team : 32
    let parts = kinds.flatMap { kind in stride(from: 0, to: kind.count, by: lanes).map { Array(kind[$0..<min($0 + lanes, kind.count)]) } }
    write("{")
    indent += 1
    for variables in parts { writeHalving(of: variables, over: lanes) }
    if mapping.isPartOfWarp {
      write("const int first = threadIdx.x % 32 / \(lanes) * \(lanes);")
      for variables in parts {
        let each = lanes / powerOfTwo(atLeast: variables.count)
        for (number, variable) in variables.enumerated() {
          writeCombined(variable, partialName(variables[0]), from: "first + \(number * each)", isOne: variables.count == 1)
        }
      }
    } else {
      writeExchange(of: parts)
    }
    indent -= 1
    write("}")
    partial.subtract(variables)
  }

  /// Leaves in the first part, in some lanes each, the values of all.
  private mutating func writeHalving(of variables: [Variable], over lanes: Int) {
    let how = how(variables[0])
    var names = variables.map { partialName($0) }
    var by = lanes / 2
    while by > 0 {
      let kept = names.count == 1 ? 1 : powerOfTwo(atLeast: names.count) / 2
      for number in 0..<kept {
        let (name, other) = (names[number], number + kept)
        if names.count > 1 && other < names.count {
          write("\(name) = halve<\(how), \(by)>(\(mask), \(name), \(names[other]));")
        } else {
          write("\(name) = fold<\(how), \(by)>(\(mask), \(name));")
        }
      }
      names.removeLast(names.count - kept)
      by /= 2
    }
  }

  /// Combines what the warps of a block have.
  private mutating func writeExchange(of parts: [[Variable]]) {
    var slot = 0
    let slots = parts.map { variables in
      let start = slot == 0 ? "turn" : "(turn + \(slot))"
      slot += variables.count
      return "(\(type(variables[0].type))*)(shared + \(start) * \(mapping.warps * 8))"
    }
    for (variables, slots) in zip(parts, slots) {
      let each = 32 / powerOfTwo(atLeast: variables.count)
      write("put_slots<\(variables.count), \(each)>(\(slots), \(partialName(variables[0])));")
    }
    write("__syncthreads();")
    for (number, (variables, slots)) in zip(parts, slots).enumerated() {
      let parameters = "\(how(variables[0])), \(mapping.threads), \(variables.count)"
      write("const \(type(variables[0].type)) all\(number) = get_slots<\(parameters)>(\(slots));")
      for (lane, variable) in variables.enumerated() {
        writeCombined(variable, "all\(number)", from: "\(lane)", isOne: variables.count == 1)
      }
    }
    let most = mapping.combinationBytes / (2 * mapping.warps * 8)
    write("turn = \(most) - turn;")
  }

  /// Gives an accumulator what a lane has; a single value all lanes have.
  private mutating func writeCombined(_ variable: Variable, _ value: String, from lane: String, isOne: Bool) {
    let value = isOne ? value : "shuffle_from(\(mask), \(value), \(lane))"
    let isFirst = fresh.remove(variable) != nil
    write("\(name(variable)) = \(isFirst ? value : "\(how(variable))::of(\(name(variable)), \(value))");")
  }

  private var mask: String { mapping.isPartOfWarp ? "mask" : "0xffffffffu" }

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
