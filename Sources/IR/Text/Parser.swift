/// A module with the text it was read from, so that errors found later still point into the text.
public struct ParsedModule: Sendable {
  public var module: Module
  public let source: SourceText
  public internal(set) var places: Places
}

/// Where in a text the parts of a module stand that carry no location themselves.
public struct Places: Sendable {
  /// By function number: the header and the `return`.
  public var functions: [(header: Location, end: Location)] = []
  /// By kernel number: the header, then every statement in the order of the text.
  public var kernels: [[Location]] = []
  public init() {}
}

extension Module {
  /// Reads a text. It may hold several functions and kernels; what they say is checked by the verifier.
  public init(parsing text: String, file: String = "<text>", ops: OpTable) throws(Diagnostic) {
    self = try ParsedModule(parsing: text, file: file, ops: ops).module
  }
}

extension ParsedModule {
  public init(parsing text: String, file: String = "<text>", ops: OpTable) throws(Diagnostic) {
    let source = SourceText(text, file: file)
    var parser = Parser(source, tokens: try Lexer.tokens(of: source), ops: ops)
    self = ParsedModule(module: try parser.module(), source: source, places: parser.places)
  }
}

/// A recursive-descent parser with one token of lookahead; `docs/ir-grammar.md` is its grammar.
struct Parser {
  let source: SourceText
  let ops: OpTable
  var places = Places()
  /// The kernel that is being read.
  var kernel = KernelScope()

  private let tokens: [Token]
  private var index = 0
  private var depth = 0

  /// How deep blocks, groups and parentheses may nest: the parser recurses, and a text must not exhaust the stack.
  static let depthLimit = 200

  init(_ source: SourceText, tokens: [Token], ops: OpTable) {
    self.source = source
    self.tokens = tokens
    self.ops = ops
  }

  mutating func module() throws(Diagnostic) -> Module {
    var module = Module()
    while peek.kind != .end {
      switch peek.kind {
      case .word("func"): module.functions.append(try function())
      case .word("kernel"): module.kernels.append(try kernelDefinition())
      default: throw unexpected("'func' or 'kernel'")
      }
    }
    return module
  }

  // MARK: Tokens

  var peek: Token { tokens[index] }
  var following: Token { tokens[min(index + 1, tokens.count - 1)] }

  @discardableResult
  mutating func advance() -> Token {
    let token = tokens[index]
    if index + 1 < tokens.count { index += 1 }
    return token
  }

  func error(_ message: String, at token: Token, notes: [Diagnostic.Note] = []) -> Diagnostic {
    source.diagnostic(message, at: token.start, notes: notes)
  }

  func unexpected(_ wanted: String) -> Diagnostic { error("expected \(wanted), got \(peek.description)", at: peek) }

  func location(of token: Token) -> Location { source.location(of: token.start) }

  mutating func accept(_ mark: Token.Mark) -> Bool {
    guard peek.kind == .mark(mark) else { return false }
    advance()
    return true
  }

  mutating func accept(word: String) -> Bool {
    guard peek.kind == .word(word) else { return false }
    advance()
    return true
  }

  @discardableResult
  mutating func expect(_ mark: Token.Mark) throws(Diagnostic) -> Token {
    guard peek.kind == .mark(mark) else { throw unexpected("'\(mark.rawValue)'") }
    return advance()
  }

  mutating func expect(word: String) throws(Diagnostic) {
    guard accept(word: word) else { throw unexpected("'\(word)'") }
  }

  mutating func word(_ wanted: String) throws(Diagnostic) -> String {
    guard case .word(let text) = peek.kind else { throw unexpected(wanted) }
    advance()
    return text
  }

  mutating func symbol() throws(Diagnostic) -> String {
    guard case .symbol(let name) = peek.kind else { throw unexpected("a name after '@'") }
    advance()
    return name
  }

  /// A number without sign, fraction or type.
  mutating func integer(_ wanted: String = "an integer") throws(Diagnostic) -> Int {
    guard case .number(let text, suffix: "") = peek.kind, text.utf8.allSatisfy(isDigit) else {
      throw unexpected(wanted)
    }
    guard let value = Int(text) else { throw error("the integer \(text) does not fit 64 bits", at: peek) }
    advance()
    return value
  }

  /// Items between `open` and `close`, separated by commas.
  mutating func list<Item>(
    _ open: Token.Mark, _ close: Token.Mark, _ item: (inout Parser) throws(Diagnostic) -> Item
  ) throws(Diagnostic) -> [Item] {
    try expect(open)
    var items: [Item] = []
    if accept(close) { return items }
    repeat { items.append(try item(&self)) } while accept(.comma)
    guard accept(close) else { throw unexpected("',' or '\(close.rawValue)'") }
    return items
  }

  /// Runs `body` one level deeper.
  mutating func nested<Result>(_ body: (inout Parser) throws(Diagnostic) -> Result) throws(Diagnostic) -> Result {
    guard depth < Self.depthLimit else { throw error("nested more than \(Self.depthLimit) levels deep", at: peek) }
    depth += 1
    defer { depth -= 1 }
    return try body(&self)
  }

  // MARK: Types

  mutating func dtype() throws(Diagnostic) -> DType {
    let token = peek
    let name = try word("an element type")
    guard let dtype = DType(rawValue: name) else {
      let hint = didYouMean(name, among: DType.allCases.map(\.rawValue))
      throw error("no element type is named '\(name)'\(hint)", at: token)
    }
    return dtype
  }

  /// `f32[8, 512]` or `rows<64>f32[1000, 16]`.
  mutating func type() throws(Diagnostic) -> TensorType {
    let start = peek
    var rows: Int?
    if peek.kind == .word("rows"), following.kind == .mark(.less) {
      advance()
      advance()
      rows = try integer("a number of rows")
      try expect(.greater)
    }
    let dtype = try dtype()
    let shape = try list(.openBracket, .closeBracket) { parser throws(Diagnostic) in try parser.integer("a size") }
    guard shape.count <= TensorType.maximalRank else {
      throw error("a tensor has at most \(TensorType.maximalRank) axes, got \(shape.count)", at: start)
    }
    let type = TensorType(dtype, shape, rows: rows)
    guard type.fitsMemory else { throw error("a tensor of type \(type) is larger than any memory", at: start) }
    guard rows == nil || shape.count == 2 else {
      throw error("a row-sparse tensor has rank 2, got \(type)", at: start)
    }
    return type
  }
}

extension TensorType {
  static let maximalRank = 32

  /// Whether all that is computed from the sizes (elements, strides, bytes) stays far from overflow.
  var fitsMemory: Bool {
    var size = max(rows ?? 1, 1)
    for extent in shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: max(extent, 1))
      guard !overflow, product <= 1 << 48 else { return false }
      size = product
    }
    return size <= 1 << 48
  }
}
