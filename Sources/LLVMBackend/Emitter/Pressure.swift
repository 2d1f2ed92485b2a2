#if LLVM
import IR

/// How many vector registers one copy of a vector loop's body wants at a time, and how many all copies share.
///
/// An estimate from the order of the statements: values inside an expression come and go, constants can be read from memory.
struct Pressure {
  /// Values that live at the same time in one copy, accumulators among them.
  private(set) var own = 0
  /// Values from outside the loop, each spread over a vector for all copies.
  private(set) var shared = 0

  private let loop: LoopVariable
  private var varying: Set<Variable> = []
  private var outside: Set<Variable> = []
  private var inside: Set<Variable> = []

  init(of loop: Loop, fed: Int) {
    self.loop = loop.variable
    own = peak(of: loop.body) + fed
    shared = outside.count
  }

  /// The most copies, a power of two, with which everything stays in registers; at least one.
  func copies(atMost most: Int, registers: Int) -> Int {
    var copies = 1
    while copies * 2 <= most, copies * 2 * max(1, own) <= registers - shared { copies *= 2 }
    return copies
  }

  /// The most values that live at once in a block, beside those around it.
  private mutating func peak(of body: [Statement]) -> Int {
    var lastUse: [Variable: Int] = [:]
    for (place, statement) in body.enumerated() { statement.forEachVariable { lastUse[$0] = place } }
    var ends = [[Variable]](repeating: [], count: body.count)
    for (variable, place) in lastUse { ends[place].append(variable) }
    var (live, peak) = (Set<Variable>(), 0)
    for (place, statement) in body.enumerated() {
      switch statement {
      case .define(let variable, let scalar):
        inside.insert(variable)
        if note(scalar) {
          varying.insert(variable)
          if let last = lastUse[variable], last > place { live.insert(variable) }
        }
        peak = max(peak, live.count)
      case .accumulator(let variable, _):
        inside.insert(variable)
        varying.insert(variable)
        live.insert(variable)
        lastUse[variable] = body.count
        peak = max(peak, live.count)
      case .accumulate(_, _, let scalar), .store(_, _, let scalar):
        _ = note(scalar)
        peak = max(peak, live.count + 1)
      case .conditional(let condition, let inner):
        _ = note(condition)
        peak = max(peak, live.count + self.peak(of: inner))
      case .loop(let inner): peak = max(peak, live.count + self.peak(of: inner.body))
      case .product: break
      }
      for variable in ends[place] where lastUse[variable] == place { live.remove(variable) }
    }
    return peak
  }

  /// Whether an expression varies over the lanes; notes what it takes from outside if it does.
  private mutating func note(_ scalar: Scalar) -> Bool {
    var variables: Set<Variable> = []
    var isVarying = false
    func visit(_ scalar: Scalar) {
      switch scalar {
      case .variable(let variable):
        variables.insert(variable)
        if varying.contains(variable) { isVarying = true }
      case .position(let position), .load(_, _, let position, _):
        if position.depends(on: loop) || position.variables.contains(where: varying.contains) { isVarying = true }
      default: break
      }
      scalar.forEachPart(visit)
    }
    visit(scalar)
    if isVarying { outside.formUnion(variables.subtracting(inside)) }
    return isVarying
  }
}
#endif
