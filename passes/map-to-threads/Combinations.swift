import IR

/// After which statements the threads of a team combine which accumulators: as late as nobody has read them.
///
///     accumulator s
///     serial i { vector j { s += x[i, j] } }      one combination, after the serial loop
///     define mean = s / 512
///
/// A loop that reads the accumulator itself is entered, and the combination stands after the vector loop in it.
func combinations(in body: [Statement]) throws(Violation) -> [ThreadMapping.Path: [Variable]] {
  var result: [ThreadMapping.Path: [Variable]] = [:]
  try findAccumulators(in: body, at: [], into: &result)
  return result
}

private func findAccumulators(
  in body: [Statement], at path: ThreadMapping.Path, into result: inout [ThreadMapping.Path: [Variable]]
) throws(Violation) {
  for (number, statement) in body.enumerated() {
    switch statement {
    case .define, .accumulate, .store, .product: break
    case .accumulator(let variable, _):
      try combine(variable, in: body, from: number + 1, at: path, into: &result)
    case .loop(let loop):
      if case .vector = loop.kind { continue }
      try findAccumulators(in: loop.body, at: path + [number], into: &result)
    case .conditional(_, let body):
      try findAccumulators(in: body, at: path + [number], into: &result)
    }
  }
}

private func combine(
  _ variable: Variable, in body: [Statement], from first: Int, at path: ThreadMapping.Path,
  into result: inout [ThreadMapping.Path: [Variable]]
) throws(Violation) {
  for (number, statement) in body.enumerated().dropFirst(first) where isFed(variable, by: statement) {
    let here = path + [number]
    switch statement {
    case .loop(let loop):
      let isRead = loop.body.contains { reads($0, variable) }
      if case .vector = loop.kind {
        guard !isRead else { throw "a vector loop reads the accumulator it feeds" }
      } else if isRead {
        try combine(variable, in: loop.body, from: 0, at: here, into: &result)
        continue
      }
      result[here, default: []].append(variable)
    case .conditional(let condition, let body):
      if reads(.conditional(condition, body), variable) {
        try combine(variable, in: body, from: 0, at: here, into: &result)
      } else {
        result[here, default: []].append(variable)
      }
    case .define, .accumulator, .accumulate, .store, .product: break
    }
  }
}

/// Whether lanes of a vector loop in the statement feed the accumulator.
private func isFed(_ variable: Variable, by statement: Statement, inVector: Bool = false) -> Bool {
  switch statement {
  case .define, .accumulator, .store, .product: return false
  case .accumulate(let other, _, _): return inVector && other == variable
  case .loop(let loop):
    if case .vector = loop.kind { return loop.body.contains { isFed(variable, by: $0, inVector: true) } }
    return loop.body.contains { isFed(variable, by: $0, inVector: inVector) }
  case .conditional(_, let body): return body.contains { isFed(variable, by: $0, inVector: inVector) }
  }
}

private func reads(_ statement: Statement, _ variable: Variable) -> Bool {
  switch statement {
  case .define(_, let scalar), .accumulate(_, _, let scalar): return reads(scalar, variable)
  case .accumulator: return false
  case .store(_, let position, let scalar): return position.variables.contains(variable) || reads(scalar, variable)
  case .loop(let loop):
    return loop.limit?.variables.contains(variable) == true || loop.body.contains { reads($0, variable) }
  case .conditional(let condition, let body):
    return reads(condition, variable) || body.contains { reads($0, variable) }
  case .product(let product):
    let limits = [product.rowLimit, product.depthLimit].compactMap { $0 }
    let positions = [product.a.offset, product.b.offset, product.c.offset] + limits
    return positions.contains { $0.variables.contains(variable) }
  }
}

private func reads(_ scalar: Scalar, _ variable: Variable) -> Bool {
  var isRead = false
  scalar.forEachVariable { if $0 == variable { isRead = true } }
  return isRead
}
