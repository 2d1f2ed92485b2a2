#if LLVM
import IR
import Runtime

/// A kernel as bytes: equal for kernels that are equal up to the names of kernel, buffers, loops and variables.
///
/// Each case writes a tag of its own and then its parts, lists after their counts, so that different kernels never give the
/// same bytes. Numbers, most of which are small, end with a byte below 128.
struct KernelDescription {
  private(set) var bytes: [UInt8] = []
  private var loops: [LoopVariable: Int] = [:]
  private var variables: [Variable: Int] = [:]

  init(_ kernel: Kernel) {
    bytes.reserveCapacity(4096)
    write(kernel.buffers.count)
    for buffer in kernel.buffers {
      write(buffer.dtype.rawValue)
      write(buffer.count)
      write(buffer.role.rawValue)
    }
    write(kernel.body)
  }

  /// The SHA-256 of `bytes` and of what else the code depends on, as hexadecimal digits.
  func digest(and context: String) -> String {
    let all = bytes + Array(context.utf8)
    return Digest.hexadecimal(all)
  }

  private mutating func write(_ number: Int) {
    var rest = UInt64(bitPattern: Int64(number))
    while rest >= 128 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }
  private mutating func write(_ text: String) {
    write(text.utf8.count)
    bytes.append(contentsOf: text.utf8)
  }
  private mutating func tag(_ number: UInt8) { bytes.append(number) }

  private mutating func write(_ variable: Variable) {
    let number = variables[variable] ?? variables.count
    variables[variable] = number
    write(number)
    write(variable.type.rawValue)
  }
  private mutating func write(_ loop: LoopVariable) {
    let number = loops[loop] ?? loops.count
    loops[loop] = number
    write(number)
    write(loop.extent)
  }

  private mutating func write(_ body: [Statement]) {
    write(body.count)
    for statement in body { write(statement) }
  }

  private mutating func write(_ statement: Statement) {
    switch statement {
    case .define(let variable, let scalar):
      tag(1)
      write(variable)
      write(scalar)
    case .accumulator(let variable, let reduction):
      tag(2)
      write(variable)
      write(reduction.rawValue)
    case .accumulate(let variable, let reduction, let scalar):
      tag(3)
      write(variable)
      write(reduction.rawValue)
      write(scalar)
    case .store(let buffer, let position, let scalar):
      tag(4)
      write(buffer.index)
      write(position)
      write(scalar)
    case .loop(let loop):
      tag(5)
      write(loop.variable)
      write(loop.kind)
      write(loop.limit)
      write(loop.body)
    case .conditional(let condition, let body):
      tag(6)
      write(condition)
      write(body)
    case .product(let product):
      tag(7)
      for number in [product.m, product.n, product.k, product.accumulates ? 1 : 0] { write(number) }
      write(product.rowLimit)
      write(product.depthLimit)
      for matrix in [product.a, product.b, product.c] {
        write(matrix.buffer.index)
        write(matrix.offset)
        write(matrix.rowStride)
        write(matrix.columnStride)
      }
    }
  }

  private mutating func write(_ kind: Loop.Kind) {
    switch kind {
    case .parallel: tag(10)
    case .serial: tag(11)
    case .vector(let width, let unroll):
      tag(12)
      write(width)
      write(unroll)
    }
  }

  private mutating func write(_ position: Position?) {
    guard let position else { return tag(20) }
    tag(21)
    write(position.constant)
    write(position.terms.count)
    for term in position.terms {
      write(term.coefficient)
      switch term.atom {
      case .loop(let loop):
        tag(22)
        write(loop)
      case .quotient(let inner, let by):
        tag(23)
        write(inner)
        write(by)
      case .remainder(let inner, let by):
        tag(24)
        write(inner)
        write(by)
      case .variable(let variable):
        tag(25)
        write(variable)
      }
    }
  }

  private mutating func write(_ scalar: Scalar) {
    switch scalar {
    case .float(let value):
      tag(30)
      write(Int(truncatingIfNeeded: value.bitPattern))
    case .integer(let value, let type):
      tag(31)
      write(Int(value))
      write(type.rawValue)
    case .boolean(let value): tag(value ? 33 : 32)
    case .position(let position):
      tag(34)
      write(position)
    case .variable(let variable):
      tag(35)
      write(variable)
    case .load(let buffer, let type, let position, let condition):
      tag(condition == nil ? 36 : 37)
      write(buffer.index)
      write(type.rawValue)
      write(position)
    case .unary(let function, _):
      tag(38)
      write(function.rawValue)
    case .binary(let function, _, _):
      tag(39)
      write(function.rawValue)
    case .compare(let comparison, _, _):
      tag(40)
      write(comparison.rawValue)
    case .select: tag(41)
    case .fusedMultiplyAdd: tag(42)
    case .convert(_, let type):
      tag(43)
      write(type.rawValue)
    case .bitcast(_, let type):
      tag(44)
      write(type.rawValue)
    case .round(_, let dtype):
      tag(45)
      write(dtype.rawValue)
    }
    scalar.forEachPart { write($0) }
  }
}
#endif
