import IR

/// The plainest kernel of an op's formula: one loop over the elements of the result. The passes have better ones; this one
/// depends on nothing but the formula.
public final class FormulaKernel: ElementSource {
  private let operands: [TensorType]
  private var blocks: [[Statement]] = [[]]
  private var names = 0

  private init(_ operands: [TensorType]) { self.operands = operands }

  /// The kernel of an op, from its formula or by its own hand; `nil` if it has none.
  public static func kernel(of op: any TensorOp, _ operands: [TensorType], results: [TensorType]) -> Kernel? {
    switch op.lower(operands) {
    case .none: return nil
    case .kernel(let make): return make()
    case .formula(let formula):
      let source = FormulaKernel(operands)
      let element = source.loop(below: results[0].count)
      let value = formula(source, Position.position(of: Position(element), in: results[0].shape))
      let body = source.blocks[0] + [.store(BufferID(operands.count), Position(element), value)]
      let inputs = operands.enumerated().map { Kernel.Buffer("x\($0)", $1.dtype, $1.count, .input) }
      let output = Kernel.Buffer("y", results[0].dtype, results[0].count, .output)
      return Kernel(name: op.name, buffers: inputs + [output], body: [.loop(Loop(element, .parallel, body))])
    }
  }

  public func operand(_ number: Int, at position: [Position], where condition: Scalar?) -> Scalar {
    precondition(position.count == operands[number].rank, "operand \(number) has \(operands[number].rank) axes")
    let offset = Position.offset(of: position, in: operands[number].shape)
    return .load(BufferID(number), ScalarType(operands[number].dtype), offset, guard: condition)
  }

  public func position(_ value: Scalar) -> Position {
    let variable = variable(.i64)
    blocks[blocks.count - 1].append(.define(variable, value))
    return Position(variable)
  }

  public func reduce(_ reduction: Reduction, over extents: [Int], _ body: ([Position]) -> Scalar) -> Scalar {
    let loops = extents.map { loop(below: $0) }
    blocks.append([])
    let value = body(loops.map { Position($0) })
    let sum = variable(value.type)
    var inner = blocks.removeLast() + [.accumulate(sum, reduction, value)]
    for loop in loops.reversed() { inner = [.loop(Loop(loop, .serial, inner))] }
    blocks[blocks.count - 1] += [.accumulator(sum, reduction)] + inner
    return .variable(sum)
  }

  private func loop(below extent: Int) -> LoopVariable {
    names += 1
    return LoopVariable(names, below: extent)
  }

  private func variable(_ type: ScalarType) -> Variable {
    names += 1
    return Variable(names, type)
  }
}
