import IR

/// How many turns the compiler is to write out of loops that have many, which it would write out all: as many as make some
/// dozens of instructions, and of a loop around products one. Not of those that go through a thread's own memory: only whole
/// loops keep that in registers.
func unrolling(in body: [Statement], at path: ThreadMapping.Path, as stage: ThreadMapping.Stage) -> [ThreadMapping.Path: Int] {
  var found: [ThreadMapping.Path: Int] = [:]
  for (number, statement) in body.enumerated() {
    let here = path + [number]
    switch statement {
    case .loop(let loop):
      found[here] = turns(of: loop, at: here, as: stage)
      found.merge(unrolling(in: loop.body, at: here, as: stage)) { own, _ in own }
    case .conditional(_, let inner): found.merge(unrolling(in: inner, at: here, as: stage)) { own, _ in own }
    case .define, .accumulator, .accumulate, .store, .product: break
    }
  }
  return found
}

/// Instructions that the turns which are written out make.
private let instructions = 48

private func turns(of loop: Loop, at path: ThreadMapping.Path, as stage: ThreadMapping.Stage) -> Int? {
  let count: Int
  switch loop.kind {
  case .serial: count = loop.variable.extent
  case .vector:
    // The lanes of a pack are another matter.
    guard stage.packs[path] == nil else { return nil }
    count = loop.variable.extent / stage.team
  case .parallel: return nil
  }
  guard StageShape(loop.body).products.isEmpty else { return 1 }
  guard count >= 8, let work = simpleWork(of: loop.body) else { return nil }
  var goesThroughOwn = false
  forEachAccess(in: loop.body) { buffer, position in
    goesThroughOwn = goesThroughOwn || stage.places[buffer]?.isOfThread == true && position.depends(on: loop.variable)
  }
  guard !goesThroughOwn else { return nil }
  var turns = 8
  while turns > 1 && turns * work > instructions { turns /= 2 }
  return turns
}

/// About how many instructions statements are; `nil` where some repeat or are conditional.
func simpleWork(of body: some Collection<Statement>) -> Int? {
  var count = 0
  for statement in body {
    switch statement {
    case .accumulator: break
    case .define(_, let value): count += work(of: value)
    case .accumulate(_, _, let value), .store(_, _, let value): count += 1 + work(of: value)
    case .loop(let loop):
      guard case .vector = loop.kind, let inner = simpleWork(of: loop.body) else { return nil }
      count += inner
    case .conditional, .product: return nil
    }
  }
  return count
}

/// About how many instructions an expression is.
private func work(of scalar: Scalar) -> Int {
  var count: Int
  switch scalar {
  case .float, .integer, .boolean, .position, .variable: count = 0
  case .unary(let function, _): count = [.negate, .absolute, .not].contains(function) ? 1 : 12
  case .binary(let function, _, _): count = [.divide, .remainder, .power].contains(function) ? 12 : 1
  case .load, .compare, .select, .fusedMultiplyAdd, .convert, .bitcast, .round: count = 1
  }
  scalar.forEachPart { count += work(of: $0) }
  return count
}
