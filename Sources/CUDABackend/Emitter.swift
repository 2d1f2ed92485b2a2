import IR

/// Writes kernels as CUDA C++. What threads do is written in the mapping; nothing is decided here.
public enum CUDAEmitter {
  /// One function for each stage, named `<prefix><kernel>_<stage>`; stages that are left out have none.
  public static func emit(
    _ kernel: Kernel, as mapping: ThreadMapping, prefix: String = "", leavingOut: Set<Int> = []
  ) throws(Violation) -> CUDAText {
    try require(
      mapping.stages.count == kernel.body.count,
      "a mapping of \(mapping.stages.count) stages for the \(kernel.body.count) stages of '\(kernel.name)'")
    var text = CUDAText()
    for (number, statement) in kernel.body.enumerated() {
      guard case .loop(let loop) = statement, loop.kind == .parallel else {
        throw "a stage of kernel '\(kernel.name)' is not a parallel loop"
      }
      let name = "\(prefix)\(identifier(kernel.name))_\(number)"
      var stage = StageEmitter(kernel: kernel, mapping: mapping.stages[number], overlapping: mapping.overlapping)
      let (function, launch) = try stage.emit(loop, named: name)
      if !leavingOut.contains(number) { text.functions.append(function) }
      text.launches.append(launch)
    }
    return text
  }

  /// `name` with everything that C does not take in a name replaced.
  static func identifier(_ name: String) -> String {
    if name.utf8.allSatisfy(isLetterOrDigit) { return name }
    return String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "_" })
  }

  static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
    default: false
    }
  }
}

/// A line of a text, and its break; one that is too long goes on in further lines, each broken where a space is.
func wrapped(_ line: String, indent: Int) -> String {
  let most = 120
  if 2 * indent + line.utf8.count <= most { return String(repeating: " ", count: 2 * indent) + line + "\n" }
  var rest = Array(line.utf8)[...]
  var (text, margin) = ("", 2 * indent)
  while margin + rest.count > most, !line.hasPrefix("#") {
    let space = UInt8(ascii: " ")
    guard let place = rest.prefix(max(1, most - margin + 1)).lastIndex(of: space) ?? rest.firstIndex(of: space) else { break }
    text += String(repeating: " ", count: margin) + String(decoding: rest[..<place], as: UTF8.self) + "\n"
    rest = rest[(place + 1)...]
    margin = 2 * indent + 4
  }
  return text + String(repeating: " ", count: margin) + String(decoding: rest, as: UTF8.self) + "\n"
}

/// Writes one stage.
struct StageEmitter {
  let kernel: Kernel
  let mapping: ThreadMapping.Stage
  let overlapping: Set<BufferID>
  var text = ""
  var indent = 1
  /// What occurred, numbered in the order in which it did, so that stages that do the same have the same text. The
  /// buffers become the parameters of the function.
  private var buffers: [BufferID: Int] = [:]
  private var loops: [LoopVariable: Int] = [:]
  private var variables: [Variable: Int] = [:]
  /// Where we are in the body.
  var path: ThreadMapping.Path = []
  /// The vector loop we are in.
  var isInLane = false
  /// The accumulators that lanes feed at the moment, each thread its own part.
  var partial: Set<Variable> = []
  /// Accumulators that still are what they began with.
  var fresh: Set<Variable> = []
  var reductions: [Variable: Reduction] = [:]
  /// What was loaded, and what will be stored, for all lanes of a pack at once: the names of the packs.
  var packedLoads: [ThreadMapping.LanePack.Access: String] = [:]
  var packedStores: [ThreadMapping.LanePack.Access: String] = [:]
  var packCount = 0
  /// Products that are written down.
  var productCount = 0
  /// The loop whose positions are written for the first lane of a pack.
  var firstLane: LoopVariable?
  /// The stage's loop, and how far it is from a team's iteration to its next.
  var iteration: (variable: LoopVariable, step: Int)?
  /// The loop of the lane we are in, and which element of each plane of its registers belongs to it.
  var ownLane: LoopVariable?
  var ownElement = ""

  init(kernel: Kernel, mapping: ThreadMapping.Stage, overlapping: Set<BufferID>) {
    self.kernel = kernel
    self.mapping = mapping
    self.overlapping = overlapping
  }

  var isCooperative: Bool {
    !mapping.waits.isEmpty || !mapping.combinations.isEmpty || !mapping.tiles.isEmpty || !mapping.loopsAhead.isEmpty
      || !mapping.sections.isEmpty
  }

  mutating func emit(
    _ loop: Loop, named name: String
  ) throws(Violation) -> (function: CUDAText.Function, launch: CUDAText.Launch) {
    if loop.variable.extent > 0 { try writeIterations(of: loop) }
    let arguments = buffers.keys.filter { kernel.buffers[$0.index].role != .local }
      .sorted { buffers[$0, default: 0] < buffers[$1, default: 0] }
    var parameters: [String] = []
    for argument in arguments { parameters.append(parameter(argument)) }
    if mapping.scratchBytes > 0 { parameters.append("unsigned char* __restrict__ scratch") }
    let form = CUDAText.Function.Form(
      bounds: "__launch_bounds__(\(mapping.threads), \(mapping.leastResidentBlocks))",
      parameters: parameters.joined(separator: ", "), body: text, sharedBytes: mapping.sharedBytes,
      isCooperative: isCooperative, products: productCount,
      isOfWarpgroups: mapping.tiles.values.contains { $0.isOfWarpgroups })
    let launch = CUDAText.Launch(
      function: name, grid: loop.variable.extent == 0 ? 0 : mapping.blocks, block: mapping.threads,
      sharedBytes: mapping.sharedBytes, scratchBytes: mapping.scratchBytes,
      arguments: arguments.map { .buffer($0) } + (mapping.scratchBytes > 0 ? [.scratch] : []), library: mapping.library)
    return (CUDAText.Function(name: name, form: form), launch)
  }

  mutating func parameter(_ id: BufferID) -> String {
    let buffer = kernel.buffers[id.index]
    let const = buffer.role == .input ? "const " : ""
    return "\(const)\(storage(buffer.dtype))*\(overlapping.contains(id) ? "" : " __restrict__") \(name(id))"
  }

  /// The loop over iterations, with what each team needs to know first.
  mutating func writeIterations(of loop: Loop) throws(Violation) {
    if mapping.sharedBytes > 0 { write("extern __shared__ __align__(\(mapping.sharedAlignment)) unsigned char shared[];") }
    if mapping.team > 1 {
      write("const int lane = threadIdx.x\(mapping.teamsPerBlock > 1 ? " % \(mapping.team)" : "");")
      if mapping.isPartOfWarp && isCooperative {
        let lanes = mapping.team == 32 ? "0xffffffffu" : "\((1 << mapping.team) - 1)u << threadIdx.x % 32 / \(mapping.team) * \(mapping.team)"
        write("const unsigned mask = \(lanes);")
      }
    }
    if mapping.combinationBytes > 0 { write("int turn = 0;") }
    let (variable, teams) = (loop.variable, mapping.teamsPerBlock)
    let type = counterType(variable)
    let block = type == "int" ? "(int)blockIdx.x" : "(long long)blockIdx.x"
    var first = block
    if mapping.divided != nil {
      let tiles = max(1, mapping.blocks / variable.extent)
      first = tiles == 1 ? block : "\(block) / \(tiles)"
      write("const int tile = \(tiles == 1 ? "0" : "blockIdx.x % \(tiles)");")
    } else if teams > 1 {
      first = "\(block) * \(teams) + \(teamNumber)"
    }
    let (counter, extent) = (name(variable), variable.extent)
    iteration = (variable, mapping.blocks * teams)
    try writeCopiesAhead(of: loop, first: first)
    let limit = try loop.limit.map { (limit) throws(Violation) in " && \(counter) < \(try index(limit))" } ?? ""
    if mapping.blocks * teams < extent && mapping.divided == nil {
      write("for (\(type) \(counter) = \(first); \(counter) < \(extent)\(limit); \(counter) += \(mapping.blocks * teams)) {")
    } else if loop.limit != nil || (mapping.blocks * teams > extent && mapping.divided == nil) {
      write("const \(type) \(counter) = \(first);")
      write("if (\(counter) < \(extent)\(limit)) {")
    } else {
      write("{")
      indent += 1
      write("const \(type) \(counter) = \(first);")
      indent -= 1
    }
    indent += 1
    for (id, place) in mapping.places.sorted(by: { $0.key.index < $1.key.index }) { writeLocal(id, at: place) }
    try write(loop.body)
    indent -= 1
    write("}")
  }

  mutating func writeLocal(_ id: BufferID, at place: ThreadMapping.Place) {
    let type = storage(kernel.buffers[id.index].dtype)
    switch place {
    case .thread: write("\(type) \(name(id))[\(max(1, kernel.buffers[id.index].count))];")
    case .shared(let at, let stride):
      let offset = mapping.teamsPerBlock > 1 ? "\(at) + \(teamNumber) * \(stride)" : "\(at)"
      write("\(type)* const \(name(id)) = (\(type)*)(shared + \(offset));")
    case .registers(let planes, let turns, let width): write("\(type) \(name(id))[\(planes.count * turns * width)];")
    case .scratch(let at, let stride):
      let block = "(long long)blockIdx.x"
      let number = mapping.teamsPerBlock > 1 ? "(\(block) * \(mapping.teamsPerBlock) + \(teamNumber))" : block
      write("\(type)* const \(name(id)) = (\(type)*)(scratch + \(at) + \(number) * \(stride));")
    }
  }
}

extension StageEmitter {
  mutating func write(_ line: String) { text += wrapped(line, indent: indent) }

  /// The number of a thread's team in its block.
  var teamNumber: String { mapping.team == 1 ? "(int)threadIdx.x" : "(int)threadIdx.x / \(mapping.team)" }

  mutating func name(_ id: BufferID) -> String {
    let number = buffers[id] ?? buffers.count
    buffers[id] = number
    // Kernels number the buffers of regions, too.
    var name = kernel.buffers[id.index].name
    while let last = name.utf8.last, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(last) { name.removeLast() }
    return "b\(number)_\(CUDAEmitter.identifier(name))"
  }
  mutating func name(_ loop: LoopVariable) -> String {
    let number = loops[loop] ?? loops.count
    loops[loop] = number
    return loop == firstLane ? "i\(number)_first" : "i\(number)"
  }
  mutating func name(_ variable: Variable) -> String {
    let number = variables[variable] ?? variables.count
    variables[variable] = number
    return "v\(number)"
  }
  mutating func partialName(_ variable: Variable) -> String { "\(name(variable))_part" }

  /// The C type of a value.
  func type(_ type: ScalarType) -> String {
    switch type {
    case .f32: "float"
    case .i32: "int"
    case .i64: "long long"
    case .bool: "bool"
    }
  }

  /// The C type of an element in memory.
  func storage(_ dtype: DType) -> String {
    switch dtype {
    case .f32: "float"
    case .bf16: "bf16"
    case .f16: "f16"
    case .i32: "int"
    case .i64: "long long"
    case .u8: "unsigned char"
    case .bool: "bool"
    }
  }
}
