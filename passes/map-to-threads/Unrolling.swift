import IR

/// Serial loops of a stage of which the compiler, which would write out all of their many turns, writes out some. Not those
/// that go through a thread's own memory: only whole loops keep that in registers.
func loopsUnrolledInPart(in body: [Statement], at path: ThreadMapping.Path, as stage: ThreadMapping.Stage) -> Set<ThreadMapping.Path> {
  var found: Set<ThreadMapping.Path> = []
  for (number, statement) in body.enumerated() {
    let here = path + [number]
    switch statement {
    case .loop(let loop):
      if loop.kind == .serial, isUnrolledInPart(loop, as: stage) { found.insert(here) }
      found.formUnion(loopsUnrolledInPart(in: loop.body, at: here, as: stage))
    case .conditional(_, let inner): found.formUnion(loopsUnrolledInPart(in: inner, at: here, as: stage))
    case .define, .accumulator, .accumulate, .store, .product: break
    }
  }
  return found
}

private func isUnrolledInPart(_ loop: Loop, as stage: ThreadMapping.Stage) -> Bool {
  let isFlat = loop.body.allSatisfy { statement in
    switch statement {
    case .accumulator, .define, .accumulate, .store: true
    case .loop, .conditional, .product: false
    }
  }
  guard isFlat, loop.variable.extent > 16, loop.body.count <= 8 else { return false }
  var goesThroughOwn = false
  forEachAccess(in: loop.body) { buffer, position in
    goesThroughOwn = goesThroughOwn || stage.places[buffer]?.isOfThread == true && position.depends(on: loop.variable)
  }
  return !goesThroughOwn
}
