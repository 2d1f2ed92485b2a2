/// Checks one kernel:
/// - buffers have names of their own, operands before results before the rest;
/// - stages are parallel loops and hold none; vector loops hold no loop;
/// - counters and variables are used where they are defined, and defined once;
/// - types agree (`Scalar.verifyTypes`), stores go to no input, accumulators are fed by their own reduction and not
///   read in the vector loop that feeds them;
/// - no access leaves its buffer, as far as the ranges of loops tell. Guarded loads, conditionals, loops with a limit
///   and positions with variables are taken at their word.
struct KernelVerifier {
  private let kernel: Kernel
  private let places: [Location]
  /// Statements met so far; the place of the current one stands at this number.
  private var number = 0
  private var current: Statement?
  private var scope = Scope()

  private struct Scope {
    var loops: Set<LoopVariable> = []
    /// By number; an accumulator with its reduction.
    var variables: [Int: (type: ScalarType, reduction: Reduction?)] = [:]
    /// Loops that may end early: a position that depends on one may stay below its range.
    var limited: Set<LoopVariable> = []
    /// Below a condition, or in a loop that may never run.
    var isConditional = false
    var isParallel = false
    var isVector = false
    /// Accumulators whose lanes are still apart.
    var fed: Set<Variable> = []

    func defines(_ variable: Variable) -> Bool { variables[variable.id]?.type == variable.type }
  }

  init(_ kernel: Kernel, _ places: [Location]) {
    self.kernel = kernel
    self.places = places
  }

  /// Without a place in a text, the statement itself is shown.
  func wrong(_ message: String) -> Diagnostic {
    let text = "\(written("@", kernel.name)): \(message)"
    if number < places.count { return Diagnostic(text, at: places[number]) }
    guard let current else { return Diagnostic(text) }
    return Diagnostic("\(text), in '\(KernelPrinter.headline(of: current, in: kernel))'")
  }

  mutating func verify() throws(Diagnostic) {
    try verifyBuffers()
    for stage in kernel.body {
      guard case .loop(let loop) = stage, loop.kind == .parallel else {
        number += 1
        current = stage
        throw wrong("a stage is a parallel loop")
      }
      try verify(stage)
    }
  }

  private func verifyBuffers() throws(Diagnostic) {
    var names: Set<String> = []
    var last = 0
    for buffer in kernel.buffers {
      var name: String { written("%", buffer.name) }
      guard names.insert(buffer.name).inserted else { throw wrong("two buffers are named '\(name)'") }
      guard buffer.count >= 0 else { throw wrong("'\(name)' holds \(buffer.count) elements") }
      let rank = buffer.role == .input ? 0 : buffer.role == .output ? 1 : 2
      guard rank >= last else {
        throw wrong("'\(name)' stands after other kinds: inputs come first, then outputs, then the rest")
      }
      last = rank
      guard let updated = buffer.updates else { continue }
      guard buffer.role == .output, kernel.buffers.indices.contains(updated.index) else {
        throw wrong("'\(name)' is no output that could update another buffer")
      }
      let start = kernel.buffers[updated.index]
      guard start.role == .input, start.dtype == buffer.dtype, start.count == buffer.count else {
        throw wrong("'\(name)' wants an input of its own type and size to update, got '\(written("%", start.name))'")
      }
    }
  }

  // MARK: Statements

  private mutating func verify(_ block: [Statement]) throws(Diagnostic) {
    let outer = scope
    for statement in block { try verify(statement) }
    scope = outer
  }

  private mutating func verify(_ statement: Statement) throws(Diagnostic) {
    number += 1
    current = statement
    switch statement {
    case .define(let variable, let value):
      try verify(value)
      guard variable.type == value.type else {
        throw wrong("a variable of type \(variable.type.rawValue) is defined as \(value.type.rawValue)")
      }
      try define(variable, nil)
    case .accumulator(let variable, let reduction):
      guard reduction.takes(variable.type) else {
        throw wrong("'\(reduction.rawValue)' takes no \(variable.type.rawValue)")
      }
      try define(variable, reduction)
    case .accumulate(let variable, let reduction, let value):
      try verify(value)
      guard scope.defines(variable) else { throw wrong("variable \(variable.id) is not defined here") }
      guard let declared = scope.variables[variable.id]?.reduction else {
        throw wrong("variable \(variable.id) is no accumulator")
      }
      guard declared == reduction else {
        throw wrong("an accumulator of '\(declared.rawValue)' is fed by '\(reduction.rawValue)'")
      }
      guard value.type == variable.type else {
        throw wrong("an accumulator of type \(variable.type.rawValue) is fed \(value.type.rawValue)")
      }
    case .store(let buffer, let position, let value):
      let target = try writable(buffer)
      try verify(value)
      let type = ScalarType(target.dtype)
      guard value.type == type else {
        throw wrong("'\(target.name)' takes \(type.rawValue), got \(value.type.rawValue)")
      }
      try verify(position, reaching: 0, in: target)
    case .loop(let loop): try verify(loop)
    case .conditional(let condition, let body):
      try verify(condition)
      guard condition.type == .bool else { throw wrong("a condition is bool, not \(condition.type.rawValue)") }
      let outer = scope
      scope.isConditional = true
      try verify(body)
      scope = outer
    case .product(let product): try verify(product)
    }
  }

  private mutating func define(_ variable: Variable, _ reduction: Reduction?) throws(Diagnostic) {
    guard scope.variables[variable.id] == nil else { throw wrong("variable \(variable.id) is defined already") }
    scope.variables[variable.id] = (variable.type, reduction)
  }

  private mutating func verify(_ loop: Loop) throws(Diagnostic) {
    if let limit = loop.limit { try verify(names: limit) }
    guard loop.variable.extent >= 0 else { throw wrong("a loop runs below \(loop.variable.extent)") }
    guard !scope.loops.contains(where: { $0.id == loop.variable.id }) else {
      throw wrong("loop \(loop.variable.id) stands inside a loop of the same name")
    }
    guard !scope.isVector else { throw wrong("a vector loop is innermost and holds no loop") }
    let outer = scope
    scope.loops.insert(loop.variable)
    if loop.limit != nil { scope.limited.insert(loop.variable) }
    let surelyRuns = loop.variable.extent > 0 && (loop.limit.map { ($0.range?.lowerBound ?? 0) > 0 } ?? true)
    if !surelyRuns { scope.isConditional = true }
    switch loop.kind {
    case .parallel:
      guard !scope.isParallel else { throw wrong("a parallel loop is a stage and stands in nothing") }
      scope.isParallel = true
    case .serial: break
    case .vector(let width, let unroll):
      guard (1...1024).contains(width), (1...1024).contains(unroll) else {
        throw wrong("a vector loop has 1 to 1024 lanes and vectors at a time, got \(width) and \(unroll)")
      }
      scope.isVector = true
      scope.fed = accumulators(fedIn: loop.body)
    }
    try verify(loop.body)
    scope = outer
  }

  private func accumulators(fedIn body: [Statement]) -> Set<Variable> {
    var fed: Set<Variable> = []
    for statement in body {
      switch statement {
      case .accumulate(let variable, _, _): fed.insert(variable)
      case .conditional(_, let body): fed.formUnion(accumulators(fedIn: body))
      case .define, .accumulator, .store, .loop, .product: break
      }
    }
    return fed.filter(scope.defines)
  }

  private func verify(_ product: Product) throws(Diagnostic) {
    guard !scope.isVector else { throw wrong("a vector loop holds no product") }
    guard product.m >= 0, product.n >= 0, product.k >= 0 else { throw wrong("a product has negative extents") }
    for limit in [product.rowLimit, product.depthLimit] { if let limit { try verify(names: limit) } }
    _ = try writable(product.c.buffer)
    // Only what is always touched can be held to the buffer's end.
    let rows = product.rowLimit == nil ? product.m : min(product.m, 1)
    let depth = product.depthLimit == nil ? product.k : min(product.k, 1)
    try verify(product.a, product.m, product.k, touched: (rows, depth))
    try verify(product.b, product.k, product.n, touched: (depth, product.n))
    try verify(product.c, product.m, product.n, touched: (rows, product.n))
  }

  /// Neighbours along one axis are adjacent, and rows (or columns) do not overlap.
  private func verify(_ matrix: Product.Matrix, _ rows: Int, _ columns: Int, touched: (rows: Int, columns: Int)) throws(Diagnostic) {
    let buffer = try buffer(matrix.buffer)
    guard buffer.dtype.isFloat else {
      throw wrong("a product takes floats, '\(buffer.name)' holds \(buffer.dtype.rawValue)")
    }
    let byRows = matrix.columnStride == 1 && (rows <= 1 || matrix.rowStride >= columns)
    let byColumns = matrix.rowStride == 1 && (columns <= 1 || matrix.columnStride >= rows)
    guard byRows || byColumns else {
      throw wrong(
        "strides \(matrix.rowStride) and \(matrix.columnStride) fit no matrix of \(rows) by \(columns): one is 1, "
          + "the other at least as long as what it steps over")
    }
    let (down, tooFar) = max(0, touched.rows - 1).multipliedReportingOverflow(by: matrix.rowStride)
    let (across, tooWide) = max(0, touched.columns - 1).multipliedReportingOverflow(by: matrix.columnStride)
    let (reach, tooLarge) = down.addingReportingOverflow(across)
    guard !tooFar, !tooWide, !tooLarge, reach < 1 << 60 else { throw wrong("a matrix is larger than any memory") }
    guard rows > 0, columns > 0 else { return try verify(names: matrix.offset) }
    try verify(matrix.offset, reaching: reach, in: buffer)
  }

  // MARK: Expressions and positions

  private func buffer(_ id: BufferID) throws(Diagnostic) -> Kernel.Buffer {
    guard kernel.buffers.indices.contains(id.index) else {
      throw wrong("uses buffer \(id.index) of \(kernel.buffers.count)")
    }
    return kernel.buffers[id.index]
  }

  private func writable(_ id: BufferID) throws(Diagnostic) -> Kernel.Buffer {
    let buffer = try buffer(id)
    guard buffer.role != .input else { throw wrong("'\(written("%", buffer.name))' is an input and not written to") }
    return buffer
  }

  private func verify(_ scalar: Scalar) throws(Diagnostic) {
    switch scalar {
    case .float, .integer, .boolean: break
    case .position(let position): try verify(names: position)
    case .variable(let variable): try verify(variable)
    case .load(let id, _, let position, let condition):
      if let condition {
        try verify(condition)
        try verify(names: position)
      } else {
        try verify(position, reaching: 0, in: try buffer(id))
      }
    case .unary(_, let a), .convert(let a, _), .bitcast(let a, _), .round(let a, _): try verify(a)
    case .binary(_, let a, let b), .compare(_, let a, let b):
      try verify(a)
      try verify(b)
    case .select(let a, let b, let c), .fusedMultiplyAdd(let a, let b, let c):
      try verify(a)
      try verify(b)
      try verify(c)
    }
    do {
      try scalar.verifyTypes(kernel.buffers)
    } catch {
      throw wrong(error.message)
    }
  }

  private func verify(_ variable: Variable) throws(Diagnostic) {
    guard scope.defines(variable) else { throw wrong("variable \(variable.id) is not defined here") }
    guard !scope.fed.contains(variable) else { throw wrong("an accumulator is read in the vector loop that feeds it") }
  }

  /// Loops and variables of a position are in scope.
  private func verify(names position: Position) throws(Diagnostic) {
    for term in position.terms {
      switch term.atom {
      case .loop(let loop):
        guard scope.loops.contains(loop) else { throw wrong("loop \(loop.id) below \(loop.extent) is not around this") }
      case .variable(let variable):
        guard variable.type == .i32 || variable.type == .i64 else {
          throw wrong("a position reads variable \(variable.id), which is \(variable.type.rawValue)")
        }
        try verify(variable)
      case .quotient(let inner, let by), .remainder(let inner, let by):
        guard by > 0 else { throw wrong("a position is divided by \(by)") }
        try verify(names: inner)
      }
    }
  }

  /// The elements from the position to `reach` after it lie in the buffer.
  private func verify(_ position: Position, reaching reach: Int, in buffer: Kernel.Buffer) throws(Diagnostic) {
    try verify(names: position)
    guard !scope.isConditional, !scope.limited.contains(where: position.depends), let range = position.range else {
      return
    }
    guard range.lowerBound < 0 || range.upperBound + reach >= buffer.count else { return }
    // Ranges are exact unless a loop occurs twice or in a remainder; then only the corners are sure.
    let corners = [position.corner { _ in 0 }, position.corner { $0.extent - 1 }]
    let touched = position.hasExactRange ? range : (corners.min() ?? 0)...(corners.max() ?? 0)
    guard touched.lowerBound < 0 || touched.upperBound + reach >= buffer.count else { return }
    let last = touched.upperBound + reach
    throw wrong(
      "'\(written("%", buffer.name))' holds \(buffer.count) elements, the access runs over \(touched.lowerBound)...\(last)"
    )
  }
}

extension Position {
  /// Whether every bound of `range` is reached.
  fileprivate var hasExactRange: Bool {
    var seen: Set<LoopVariable> = []
    return addLoops(to: &seen)
  }

  /// `false` at a loop met before, and at a remainder.
  private func addLoops(to seen: inout Set<LoopVariable>) -> Bool {
    for term in terms {
      switch term.atom {
      case .loop(let loop): if !seen.insert(loop).inserted { return false }
      case .quotient(let inner, _): if !inner.addLoops(to: &seen) { return false }
      case .remainder, .variable: return false
      }
    }
    return true
  }

  /// The value where each loop has the given count.
  fileprivate func corner(_ count: (LoopVariable) -> Int) -> Int {
    terms.reduce(constant) { sum, term in
      switch term.atom {
      case .loop(let loop): sum + term.coefficient * count(loop)
      case .quotient(let inner, let by): sum + term.coefficient * floorQuotient(inner.corner(count), by)
      case .remainder(let inner, let by):
        sum + term.coefficient * (inner.corner(count) - floorQuotient(inner.corner(count), by) * by)
      case .variable: sum
      }
    }
  }
}
