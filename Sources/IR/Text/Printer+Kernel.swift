extension Kernel: CustomStringConvertible {
  /// The kernel as text, with loops and variables numbered in order: equal texts are equal kernels.
  public func text() -> String {
    let canonical = canonicalized()
    let start = "kernel \(written("@", canonical.name))"
    let buffers = canonical.buffers.map { buffer in
      buffer.text + (buffer.updates.map { " updates " + written("%", canonical.buffers[$0.index].name) } ?? "")
    }
    let header = start + list(buffers, "(", ")", after: start.count + 2)
    var printer = KernelPrinter(buffers: canonical.buffers.map { written("%", $0.name) })
    printer.write(canonical.body)
    return header + " {\n" + printer.lines + "}\n"
  }
  public var description: String { text() }
}

extension Kernel.Role {
  /// The word before a buffer.
  var keyword: String {
    switch self {
    case .input: "in"
    case .output: "out"
    case .workspace, .local: rawValue
    }
  }
}

extension Kernel.Buffer {
  fileprivate var text: String { "\(role.keyword) \(written("%", name)): \(dtype.rawValue)[\(count)]" }
}

extension Loop.Kind {
  fileprivate var keyword: String {
    switch self {
    case .parallel: "parallel"
    case .serial: "serial"
    case .vector: "vector"
    }
  }
}

extension LoopVariable {
  fileprivate var name: String { "i\(id)" }
}

extension Variable {
  fileprivate var name: String { "v\(id)" }
}

struct KernelPrinter {
  let buffers: [String]
  fileprivate(set) var lines = ""
  private var indent = "  "

  init(buffers: [String]) { self.buffers = buffers }

  /// The first line of a statement, with the numbers it has.
  static func headline(of statement: Statement, in kernel: Kernel) -> String {
    var printer = KernelPrinter(buffers: kernel.buffers.map { written("%", $0.name) })
    printer.write([statement])
    return printer.lines.split(separator: "\n").first.map { String($0.drop { $0 == " " }) } ?? ""
  }

  fileprivate mutating func write(_ body: [Statement]) {
    for statement in body { write(statement) }
  }

  private mutating func block(_ header: String, _ body: [Statement]) {
    lines += indent + header + " {\n"
    indent += "  "
    write(body)
    indent.removeLast(2)
    lines += indent + "}\n"
  }

  private mutating func write(_ statement: Statement) {
    switch statement {
    case .define(let variable, let value): line("\(variable.name) = \(text(value))")
    case .accumulator(let variable, let reduction):
      line("\(reduction.rawValue) \(variable.name): \(variable.type.rawValue)")
    case .accumulate(let variable, let reduction, let value):
      line("\(variable.name) \(reduction.rawValue)= \(text(value))")
    case .store(let buffer, let position, let value): line("store \(name(buffer))[\(text(position))], \(text(value))")
    case .loop(let loop): block(header(loop), loop.body)
    case .conditional(let condition, let body): block("if \(text(condition))", body)
    case .product(let product): line(text(product))
    }
  }

  private mutating func line(_ text: String) { lines += indent + text + "\n" }

  private func name(_ buffer: BufferID) -> String {
    buffers.indices.contains(buffer.index) ? buffers[buffer.index] : "%<buffer \(buffer.index)>"
  }

  private func header(_ loop: Loop) -> String {
    var header = "\(loop.kind.keyword) \(loop.variable.name) < \(loop.variable.extent)"
    if case .vector(let width, let unroll) = loop.kind { header += " width \(width) unroll \(unroll)" }
    if let limit = loop.limit { header += " limit [\(text(limit))]" }
    return header
  }

  private func text(_ product: Product) -> String {
    let rows = product.rowLimit.map { " rows [\(text($0))]" } ?? ""
    let depth = product.depthLimit.map { " depth [\(text($0))]" } ?? ""
    let sizes = "product \(product.m), \(product.n), \(product.k)\(rows)\(depth)"
    let sign = product.accumulates ? "+=" : "="
    return "\(sizes): \(text(product.c)) \(sign) \(text(product.a)) * \(text(product.b))"
  }

  private func text(_ matrix: Product.Matrix) -> String {
    "\(name(matrix.buffer))[\(text(matrix.offset)); \(matrix.rowStride), \(matrix.columnStride)]"
  }

  // MARK: Expressions

  /// How tightly an expression holds together; where a tighter one is wanted, it gets parentheses.
  private enum Precedence: Int {
    case comparison, sum, product, primary
  }

  private func text(_ scalar: Scalar, in wanted: Precedence = .comparison) -> String {
    func infix(_ l: Scalar, _ sign: String, _ r: Scalar, _ own: Precedence, _ left: Precedence, _ right: Precedence)
      -> String
    {
      let text = "\(text(l, in: left)) \(sign) \(text(r, in: right))"
      return own.rawValue < wanted.rawValue ? "(\(text))" : text
    }
    switch scalar {
    case .float(let value): return Attribute.float(value).description
    case .integer(let value, let type): return "\(value)\(type.rawValue)"
    case .boolean(let value): return value ? "true" : "false"
    case .position(let position): return "[\(text(position))]"
    case .variable(let variable): return variable.name
    case .load(let buffer, _, let position, nil): return "\(name(buffer))[\(text(position))]"
    case .load(let buffer, _, let position, let condition?):
      return "\(name(buffer))[\(text(position)) if \(text(condition))]"
    case .unary(let function, let a): return "\(function.rawValue)(\(text(a)))"
    case .binary(.add, let l, let r): return infix(l, "+", r, .sum, .sum, .product)
    case .binary(.subtract, let l, let r): return infix(l, "-", r, .sum, .sum, .product)
    case .binary(.multiply, let l, let r): return infix(l, "*", r, .product, .product, .primary)
    case .binary(.divide, let l, let r): return infix(l, "/", r, .product, .product, .primary)
    case .binary(let function, let l, let r): return "\(function.rawValue)(\(text(l)), \(text(r)))"
    case .compare(let comparison, let l, let r): return infix(l, comparison.sign.rawValue, r, .comparison, .sum, .sum)
    case .select(let condition, let a, let b): return "select(\(text(condition)), \(text(a)), \(text(b)))"
    case .fusedMultiplyAdd(let a, let b, let c): return "fma(\(text(a)), \(text(b)), \(text(c)))"
    case .convert(let a, let type): return "convert(\(text(a)), \(type.rawValue))"
    case .bitcast(let a, let type): return "bitcast(\(text(a)), \(type.rawValue))"
    case .round(let a, let dtype): return "round(\(text(a)), \(dtype.rawValue))"
    }
  }

  private func text(_ position: Position) -> String {
    var text = ""
    for term in position.terms {
      let size = term.coefficient.magnitude
      let atom = self.text(term.atom, scaled: size != 1)
      let scaled = size == 1 ? atom : "\(size)*\(atom)"
      if text.isEmpty {
        text = term.coefficient < 0 ? "-" + scaled : scaled
      } else {
        text += (term.coefficient < 0 ? " - " : " + ") + scaled
      }
    }
    if text.isEmpty { return String(position.constant) }
    if position.constant == 0 { return text }
    return text + (position.constant < 0 ? " - " : " + ") + String(position.constant.magnitude)
  }

  private func text(_ atom: Position.Atom, scaled: Bool) -> String {
    switch atom {
    case .loop(let loop): return loop.name
    case .variable(let variable): return variable.name
    case .quotient(let inner, let by):
      let text = "\(operand(inner)) / \(by)"
      return scaled ? "(\(text))" : text
    case .remainder(let inner, let by):
      let text = "\(operand(inner)) % \(by)"
      return scaled ? "(\(text))" : text
    }
  }

  private func operand(_ position: Position) -> String {
    if position.constant == 0, position.terms.count == 1, position.terms[0].coefficient == 1 {
      switch position.terms[0].atom {
      case .loop(let loop): return loop.name
      case .variable(let variable): return variable.name
      case .quotient, .remainder: break
      }
    }
    return "(\(text(position)))"
  }
}

extension Comparison {
  var sign: Token.Mark {
    switch self {
    case .equal: .equal
    case .notEqual: .notEqual
    case .less: .less
    case .lessOrEqual: .lessOrEqual
    case .greater: .greater
    case .greaterOrEqual: .greaterOrEqual
    }
  }
}
