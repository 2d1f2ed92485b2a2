import IR

/// Lowers one op element by element: a loop over the result, and around each reduction loops of its own. Slow where
/// memory is read against its order, but there is nothing it cannot do.
final class ElementLowering: ElementSource {
  private let operands: [TensorType]
  private var blocks: [[Statement]] = [[]]
  private var nextVariable = 0
  private var nextLoop = 1

  private init(_ operands: [TensorType]) { self.operands = operands }

  static func kernel(_ op: any TensorOp, _ operands: [TensorType], result: TensorType, name: String) -> Kernel? {
    guard case .formula(let formula) = op.lower(operands) else { return nil }
    let lowering = ElementLowering(operands)
    let element = LoopVariable(0, below: result.count)
    let value = formula(lowering, Position.position(of: Position(element), in: result.shape))
    let body = lowering.blocks[0] + [.store(BufferID(operands.count), Position(element), value)]
    var buffers = operands.enumerated().map { Kernel.Buffer("i\($0)", $1.dtype, $1.count, .input) }
    buffers.append(Kernel.Buffer("o0", result.dtype, result.count, .output))
    return Kernel(name: name, buffers: buffers, body: [.loop(Loop(element, .parallel, body))])
  }

  func operand(_ number: Int, at position: [Position], where condition: Scalar?) -> Scalar {
    let type = operands[number]
    return .load(
      BufferID(number), ScalarType(type.dtype), Position.offset(of: position, in: type.shape), guard: condition.map(folded))
  }

  func position(_ value: Scalar) -> Position {
    let wide: Scalar = value.type == .i64 ? value : .convert(value, .i64)
    let variable = newVariable(.i64)
    blocks[blocks.count - 1].append(.define(variable, wide))
    return Position(variable)
  }

  func reduce(_ reduction: Reduction, over extents: [Int], _ body: ([Position]) -> Scalar) -> Scalar {
    let loops = extents.map { extent in
      nextLoop += 1
      return LoopVariable(nextLoop, below: extent)
    }
    blocks.append([])
    let value = body(loops.map { Position($0) })
    let sum = newVariable(value.type)
    var inner = blocks.removeLast()
    let isInnermost = !inner.contains { if case .loop = $0 { true } else { false } }
    inner.append(.accumulate(sum, reduction, value))
    for (depth, loop) in loops.reversed().enumerated() {
      let isVector = depth == 0 && isInnermost && loop.extent >= 8
      inner = [.loop(Loop(loop, isVector ? .vector(width: 16, unroll: 4) : .serial, inner))]
    }
    blocks[blocks.count - 1] += [.accumulator(sum, reduction)] + inner
    return .variable(sum)
  }

  private func newVariable(_ type: ScalarType) -> Variable {
    nextVariable += 1
    return Variable(nextVariable - 1, type)
  }
}
