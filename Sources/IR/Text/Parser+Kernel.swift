/// What names mean where the parser stands in a kernel.
struct KernelScope {
  enum Binding {
    case loop(LoopVariable)
    case variable(Variable)
  }
  var buffers: [Kernel.Buffer] = []
  var names: [String: Binding] = [:]
  var places: [Location] = []
  private var loopCount = 0
  private var variableCount = 0

  mutating func newLoop(below extent: Int) -> LoopVariable {
    defer { loopCount += 1 }
    return LoopVariable(loopCount, below: extent)
  }

  mutating func newVariable(_ type: ScalarType) -> Variable {
    defer { variableCount += 1 }
    return Variable(variableCount, type)
  }
}

extension Parser {
  mutating func kernelDefinition() throws(Diagnostic) -> Kernel {
    kernel = KernelScope()
    kernel.places = [location(of: advance())]
    let name = try symbol()
    kernel.buffers = try list(.open, .close) { parser throws(Diagnostic) in
      let buffer = try parser.buffer()
      // Later buffers may name this one.
      parser.kernel.buffers.append(buffer)
      return buffer
    }
    for (number, buffer) in kernel.buffers.enumerated()
    where kernel.buffers[..<number].contains(where: { $0.name == buffer.name }) {
      throw source.showing(
        Diagnostic("@\(name) has two buffers named '\(written("%", buffer.name))'", at: kernel.places[0]))
    }
    let body = try block()
    places.kernels.append(kernel.places)
    return Kernel(name: name, buffers: kernel.buffers, body: body)
  }

  /// `in %h: f32[8192]`, `out %y: f32[8192] updates %h`
  private mutating func buffer() throws(Diagnostic) -> Kernel.Buffer {
    let roles = Kernel.Role.allCases
    guard case .word(let text) = peek.kind, let role = roles.first(where: { $0.keyword == text }) else {
      throw unexpected("one of " + roles.map { "'\($0.keyword)'" }.joined(separator: ", "))
    }
    advance()
    guard case .value(.named(let name)) = peek.kind else { throw unexpected("the name of a buffer") }
    advance()
    try expect(.colon)
    let start = peek
    let dtype = try dtype()
    try expect(.openBracket)
    let count = try integer("a number of elements")
    try expect(.closeBracket)
    guard TensorType(dtype, [count]).fitsMemory else {
      throw error("a buffer of \(count) elements is larger than any memory", at: start)
    }
    guard peek.kind == .word("updates") else { return Kernel.Buffer(name, dtype, count, role) }
    advance()
    let place = peek
    guard case .value(.named(let other)) = place.kind else { throw unexpected("the name of a buffer") }
    advance()
    guard let updated = kernel.buffers.firstIndex(where: { $0.name == other }) else {
      throw error("there is no buffer '\(written("%", other))' before this one", at: place)
    }
    return Kernel.Buffer(name, dtype, count, role, updates: BufferID(updated))
  }

  /// Statements in braces; what they name ends with them.
  private mutating func block() throws(Diagnostic) -> [Statement] {
    try expect(.openBrace)
    let outer = kernel.names
    var body: [Statement] = []
    while !accept(.closeBrace) {
      if peek.kind == .end { throw unexpected("a statement or '}'") }
      kernel.places.append(location(of: peek))
      body.append(try nested { parser throws(Diagnostic) in try parser.statement() })
    }
    kernel.names = outer
    return body
  }

  private mutating func statement() throws(Diagnostic) -> Statement {
    guard case .word(let first) = peek.kind else { throw unexpected("a statement") }
    switch first {
    case "parallel":
      advance()
      return try loop(.parallel)
    case "serial":
      advance()
      return try loop(.serial)
    case "vector":
      advance()
      return try loop(.vector(width: 1, unroll: 1))
    case "store":
      advance()
      let buffer = try bufferID()
      try expect(.openBracket)
      let at = try position()
      try expect(.closeBracket)
      try expect(.comma)
      return .store(buffer, at, try scalar())
    case "if":
      advance()
      return .conditional(try scalar(), try block())
    case "product":
      advance()
      return .product(try product())
    default:
      if case .word = following.kind, let reduction = Reduction(rawValue: first) { return try accumulator(reduction) }
      return following.kind == .mark(.assign) ? try definition(first) : try accumulation()
    }
  }

  /// `i0 < 16 width 8 unroll 2 limit [n] { … }`
  private mutating func loop(_ plain: Loop.Kind) throws(Diagnostic) -> Statement {
    let token = peek
    let name = try word("the name of a loop")
    try expect(.less)
    let extent = try integer("the extent of the loop")
    var kind = plain
    if case .vector = plain {
      try expect(word: "width")
      let width = try integer("a number of lanes")
      try expect(word: "unroll")
      kind = .vector(width: width, unroll: try integer("a number of vectors"))
    }
    let limit = accept(word: "limit") ? try bracketedPosition() : nil
    let outer = kernel.names
    let variable = kernel.newLoop(below: extent)
    try bind(name, .loop(variable), at: token)
    let body = try block()
    kernel.names = outer
    return .loop(Loop(variable, kind, limit: limit, body))
  }

  /// `sum v0: f32`
  private mutating func accumulator(_ reduction: Reduction) throws(Diagnostic) -> Statement {
    advance()
    let token = peek
    let name = try word("the name of an accumulator")
    try expect(.colon)
    let variable = kernel.newVariable(try scalarType())
    try bind(name, .variable(variable), at: token)
    return .accumulator(variable, reduction)
  }

  /// `v0 = …`
  private mutating func definition(_ name: String) throws(Diagnostic) -> Statement {
    let token = advance()
    try expect(.assign)
    let value = try scalar()
    let variable = kernel.newVariable(value.type)
    try bind(name, .variable(variable), at: token)
    return .define(variable, value)
  }

  /// `v0 sum= …`
  private mutating func accumulation() throws(Diagnostic) -> Statement {
    let variable = try variable()
    guard case .word(let text) = peek.kind, let reduction = Reduction(rawValue: text) else {
      throw unexpected("'=' or a reduction such as 'sum='")
    }
    advance()
    try expect(.assign)
    return .accumulate(variable, reduction, try scalar())
  }

  /// `64, 32, 16 rows [n] depth [d]: %c[0; 32, 1] += %a[0; 16, 1] * %b[0; 32, 1]`
  private mutating func product() throws(Diagnostic) -> Product {
    let m = try integer("the rows of a product")
    try expect(.comma)
    let n = try integer("the columns of a product")
    try expect(.comma)
    let k = try integer("the length of a product's sums")
    let rows = accept(word: "rows") ? try bracketedPosition() : nil
    let depth = accept(word: "depth") ? try bracketedPosition() : nil
    try expect(.colon)
    let c = try matrix()
    let accumulates = accept(.plusAssign)
    if !accumulates { try expect(.assign) }
    let a = try matrix()
    try expect(.times)
    let b = try matrix()
    return Product(m: m, n: n, k: k, rowLimit: rows, depthLimit: depth, a, b, into: c, accumulates: accumulates)
  }

  private mutating func matrix() throws(Diagnostic) -> Product.Matrix {
    let buffer = try bufferID()
    try expect(.openBracket)
    let offset = try position()
    try expect(.semicolon)
    let rowStride = try integer("a stride of rows")
    try expect(.comma)
    let columnStride = try integer("a stride of columns")
    try expect(.closeBracket)
    return Product.Matrix(buffer, at: offset, rowStride: rowStride, columnStride: columnStride)
  }

  // MARK: Names

  private static let reserved: Set<String> = [
    "parallel", "serial", "vector", "store", "if", "product", "true", "false", "inf", "nan", "limit", "rows", "depth", "width",
  ]

  private mutating func bind(_ name: String, _ binding: KernelScope.Binding, at token: Token) throws(Diagnostic) {
    guard !Self.reserved.contains(name), Reduction(rawValue: name) == nil else {
      throw error("'\(name)' is a word of the format and names nothing else", at: token)
    }
    guard kernel.names[name] == nil else { throw error("'\(name)' is defined already", at: token) }
    kernel.names[name] = binding
  }

  func binding(_ name: String, at token: Token) throws(Diagnostic) -> KernelScope.Binding {
    if let binding = kernel.names[name] { return binding }
    let hint = didYouMean(name, among: Array(kernel.names.keys))
    throw error("'\(name)' is not defined here\(hint)", at: token)
  }

  private mutating func variable() throws(Diagnostic) -> Variable {
    let token = peek
    let name = try word("a variable")
    guard case .variable(let variable) = try binding(name, at: token) else {
      throw error("'\(name)' counts a loop and is no accumulator", at: token)
    }
    return variable
  }

  mutating func bufferID() throws(Diagnostic) -> BufferID {
    guard case .value(let name) = peek.kind else { throw unexpected("a buffer") }
    let found = kernel.buffers.firstIndex { $0.name == name.given }
    guard case .named(let text) = name, let found else {
      let hint =
        didYouMean(name.given, among: kernel.buffers.map(\.name), sigil: "%")
      throw error("the kernel has no buffer \(peek.description)\(hint)", at: peek)
    }
    precondition(kernel.buffers[found].name == text, "a buffer is found by its name")
    advance()
    return BufferID(found)
  }

  mutating func scalarType() throws(Diagnostic) -> ScalarType {
    guard case .word(let text) = peek.kind, let type = ScalarType(rawValue: text) else {
      throw unexpected("one of " + ScalarType.allCases.map(\.rawValue).joined(separator: ", "))
    }
    advance()
    return type
  }
}
