import IR

extension StageEmitter {
  /// A vector loop in which a thread does several neighbouring lanes at a time:
  ///
  ///     for (int i1_first = lane * 4; i1_first < 512; i1_first += 1024) {
  ///       const Pack<float, 4> pack0 = load_pack<float, 4>(b0_x + i1_first);
  ///       Pack<float, 4> pack1;
  ///       for (int u = 0; u < 4; u++) { const int i1 = i1_first + u; … pack1.at[u] = pack0.at[u] * v0; }
  ///       store_pack<float, 4>(b1_y + i1_first, pack1);
  ///     }
  ///
  /// Where locals live in registers, the turns are counted, and unrolled. Where there is one turn at most, there is no loop.
  mutating func write(_ loop: Loop, as pack: ThreadMapping.LanePack) throws(Violation) {
    let (lane, width) = (loop.variable, pack.width)
    let (counter, type) = (name(lane), counterType(lane))
    let first = width == 1 ? counter : "\(counter)_first"
    let thread = mapping.team > 1 ? "lane" : "0"
    let start = width == 1 || thread == "0" ? thread : "\(thread) * \(width)"
    let stride = mapping.team * width
    if !pack.ahead.isEmpty { write("wait_for_copies<\(mapping.loopsAhead.count - 1)>();") }
    if let turns = pack.turns {
      write("#pragma unroll")
      write("for (int turn_\(counter) = 0; turn_\(counter) < \(turns); turn_\(counter)++) {")
      indent += 1
      write("const \(type) \(first) = \(start) + turn_\(counter) * \(stride);")
      if !lane.extent.isMultiple(of: stride) { write("if (\(first) >= \(lane.extent)) continue;") }
    } else if lane.extent <= stride {
      writeOneTurn(first, type, from: start, below: "\(lane.extent)")
    } else {
      write("for (\(type) \(first) = \(start); \(first) < \(lane.extent); \(first) += \(stride)) {")
      indent += 1
    }
    if width == 1 {
      try writeLanes(of: loop, width: 1)
    } else {
      if !pack.loads.isEmpty || !pack.stores.isEmpty { firstLane = lane }
      var names: [ThreadMapping.LanePack.Access: String] = [:]
      for access in pack.loads {
        let (type, name) = (packType(access, width), "pack\(packCount)")
        packCount += 1
        write("const \(type) \(name) = load_pack<\(packParameters(access, width))>(\(try source(of: access, in: pack, first)));")
        names[access] = name
      }
      var stored: [(access: ThreadMapping.LanePack.Access, name: String)] = []
      for access in pack.stores {
        stored.append((access, "pack\(packCount)"))
        packCount += 1
        write("\(packType(access, width)) \(stored[stored.count - 1].name);")
      }
      firstLane = nil
      write("#pragma unroll")
      write("for (int u = 0; u < \(width); u++) {")
      indent += 1
      write("const \(type) \(counter) = \(first) + u;")
      packedLoads = names
      packedStores = Dictionary(uniqueKeysWithValues: stored.map { ($0.access, $0.name) })
      try writeLanes(of: loop, width: width)
      (packedLoads, packedStores) = ([:], [:])
      indent -= 1
      write("}")
      firstLane = lane
      for (access, name) in stored {
        write("store_pack<\(packParameters(access, width))>(\(try address(access)), \(name));")
      }
      firstLane = nil
    }
    indent -= 1
    write("}")
    if !pack.ahead.isEmpty, let (variable, step) = iteration {
      write("if (\(name(variable)) < \(variable.extent - step)) \(copier(of: path))(\(name(variable)) + \(step));")
      write("commit_copies();")
    }
  }

  /// What copies a thread's part of an iteration's row, a function for each loop that reads some ahead:
  ///
  ///     const auto ahead_1 = [&](int i0) {
  ///       for (int i1_first = lane * 8; i1_first < 4096; i1_first += 2048)
  ///         copy_pack<bf16, 8>(shared + 512 + i1_first * 2, b0_x + i0 * 4096 + i1_first);
  ///     };
  ///     ahead_1(blockIdx.x);
  mutating func writeCopiesAhead(of stage: Loop, first: String) throws(Violation) {
    for path in mapping.loopsAhead {
      guard let pack = mapping.packs[path], case .loop(let loop) = stage.body[path[0]] else { throw "no loop stands at a pack" }
      let (lane, width, type) = (loop.variable, pack.width, counterType(loop.variable))
      write("const auto \(copier(of: path)) = [&](\(counterType(stage.variable)) \(name(stage.variable))) {")
      indent += 1
      firstLane = lane
      let start = name(lane)
      write("for (\(type) \(start) = lane * \(width); \(start) < \(lane.extent); \(start) += \(mapping.team * width)) {")
      indent += 1
      for access in pack.loads {
        guard let at = pack.ahead[access] else { continue }
        let size = kernel.buffers[access.buffer.index].dtype.size
        write("copy_pack<\(packParameters(access, width))>(shared + \(at) + \(start) * \(size), \(try address(access)));")
      }
      firstLane = nil
      indent -= 1
      write("}")
      indent -= 1
      write("};")
    }
    for path in mapping.loopsAhead {
      write("\(copier(of: path))(\(first));")
      write("commit_copies();")
    }
  }

  private func copier(of path: ThreadMapping.Path) -> String { "ahead_\(path[0])" }

  /// Where a pack is read: in memory, or where it was copied to.
  private mutating func source(
    of access: ThreadMapping.LanePack.Access, in pack: ThreadMapping.LanePack, _ first: String
  ) throws(Violation) -> String {
    guard let at = pack.ahead[access] else { return try address(access) }
    let buffer = kernel.buffers[access.buffer.index]
    return "(const \(storage(buffer.dtype))*)(shared + \(at) + \(first) * \(buffer.dtype.size))"
  }

  /// The start of a block that a thread goes through once, if it has a lane at all. The condition stands there even where all
  /// threads have one: a compiler that knew that would keep what it has loaded from loop to loop, and run out of registers.
  mutating func writeOneTurn(_ counter: String, _ type: String, from start: String, below limit: String) {
    write(start == "0" ? "{" : "if (\(start) < \(limit)) {")
    indent += 1
    write("const \(type) \(counter) = \(start);")
  }

  private mutating func writeLanes(of loop: Loop, width: Int) throws(Violation) {
    let turn = "turn_\(name(loop.variable))"
    ownElement = width == 1 ? turn : "\(turn) * \(width) + u"
    ownLane = loop.variable
    isInLane = true
    if let limit = loop.limit {
      write("if (\(name(loop.variable)) < \(try index(limit))) {")
      try writeBlock(loop.body)
    } else {
      try write(loop.body)
    }
    isInLane = false
    ownLane = nil
  }

  /// The place of an element in memory, in a pack or in registers.
  mutating func place(_ buffer: BufferID, _ position: Position, isStore: Bool = false) throws(Violation) -> String {
    let access = ThreadMapping.LanePack.Access(buffer, at: position)
    if let pack = isStore ? packedStores[access] : packedLoads[access] { return "\(pack).at[u]" }
    if case .registers(let planes, let turns, let width)? = mapping.places[buffer] {
      guard let lane = ownLane, let start = (position + Position(lane) * -1).asConstant, let plane = planes.firstIndex(of: start)
      else { throw "a local in registers is touched outside its lanes" }
      let before = plane * turns * width
      return "\(name(buffer))[\(before == 0 ? "" : "\(before) + ")\(ownElement)]"
    }
    return "\(name(buffer))[\(try index(position))]"
  }

  private func packParameters(_ access: ThreadMapping.LanePack.Access, _ width: Int) -> String {
    "\(storage(kernel.buffers[access.buffer.index].dtype)), \(width)"
  }
  private func packType(_ access: ThreadMapping.LanePack.Access, _ width: Int) -> String {
    "Pack<\(packParameters(access, width))>"
  }
  private mutating func address(_ access: ThreadMapping.LanePack.Access) throws(Violation) -> String {
    "\(name(access.buffer)) + \(try index(access.position))"
  }
}
