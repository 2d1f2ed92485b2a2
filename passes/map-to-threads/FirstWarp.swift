import IR

/// Lets the first warp of a block do long scalar code for all of them.
///
///     v1 = …   v2 = tanh(v1) …   v9 = v8 * v2      the first warp
///     vector j { … v2 … v9 … }                     all, which get v2 and v9 from shared memory
///
/// All threads of a team know every variable, so each warp of a block would compute it: of a row that has a few hundred
/// such operations for some hundred lanes, most of what the warps do. Those that wait leave their turns to other blocks.
func sharingScalars(
  _ stage: ThreadMapping.Stage, of loop: Loop, in kernel: Kernel, within limits: ThreadLimits
) -> ThreadMapping.Stage {
  guard !stage.isPartOfWarp, stage.teamsPerBlock == 1, stage.tiles.isEmpty, stage.warps > 1 else { return stage }
  var search = ScalarRuns(stage: stage)
  search.visit(loop.body, at: [])
  var shared = stage
  let most = limits.sharedBytes(ofBlocks: stage.residentBlocks)
  for (path, var section) in search.found {
    section.at = multiple(of: 16, shared.sharedBytes)
    guard section.at + section.bytes <= most else { continue }
    shared.sections[path] = section
    shared.sharedBytes = section.at + section.bytes
  }
  return shared
}

/// The runs of scalar statements of a stage that are worth it.
private struct ScalarRuns {
  let stage: ThreadMapping.Stage
  private(set) var found: [(path: ThreadMapping.Path, section: ThreadMapping.Section)] = []

  init(stage: ThreadMapping.Stage) { self.stage = stage }

  mutating func visit(_ body: [Statement], at path: ThreadMapping.Path) {
    // What an iteration gives must have been read before the next one gives it: the threads meet in between.
    let meets = body.indices.contains { stage.combinations[path + [$0]] != nil }
    var start = 0
    while start < body.count {
      let count = body[start...].enumerated().prefix { isScalar($1) && ($0 == 0 || !stage.waits.contains(path + [start + $0])) }.count
      if meets, count > 1, let section = section(body, start..<start + count) { found.append((path + [start], section)) }
      switch body[start] {
      case .loop(let loop): if case .serial = loop.kind { visit(loop.body, at: path + [start]) }
      case .conditional(_, let inner): visit(inner, at: path + [start])
      case .define, .accumulator, .accumulate, .store, .product: break
      }
      start += max(1, count)
    }
  }

  /// Whether a statement is scalar code of which nothing but the variables it defines stays with a thread.
  private func isScalar(_ statement: Statement) -> Bool {
    switch statement {
    case .define: true
    case .store(let buffer, _, _): stage.places[buffer]?.isOfThread != true
    case .accumulator, .accumulate, .loop, .conditional, .product: false
    }
  }

  private func section(_ body: [Statement], _ run: Range<Int>) -> ThreadMapping.Section? {
    let defined = body[run].compactMap { if case .define(let variable, _) = $0 { variable } else { nil } }
    var later: Set<Variable> = []
    for statement in body[run.upperBound...] { statement.forEachVariable { later.insert($0) } }
    let given = defined.filter(later.contains)
    // Each is stored once, and read by every warp.
    guard let work = simpleWork(of: body[run]), work >= 2 * given.count + 64 else { return nil }
    return ThreadMapping.Section(count: run.count, given: given.sorted { ($1.bytes, $0.id) < ($0.bytes, $1.id) })
  }
}
