import IR
import TestSupport

/// Kernels of random statements on a few locals, which are right only if threads wait wherever they must.
struct RandomKernels {
  private var random: Seeded
  private let width: Int
  private let row = LoopVariable(0, below: 3)
  private var nextLoop = 1
  private var nextVariable = 0

  static func sample(_ seed: UInt64) -> Sample {
    var kernels = RandomKernels(seed)
    return kernels.sample("random_\(seed)")
  }

  private init(_ seed: UInt64) {
    random = Seeded(seed)
    width = [5, 16, 33, 70].randomElement(using: &random) ?? 5
  }

  private mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

  private mutating func loop(_ extent: Int) -> LoopVariable {
    defer { nextLoop += 1 }
    return LoopVariable(nextLoop, below: extent)
  }

  private mutating func variable() -> Variable {
    defer { nextVariable += 1 }
    return Variable(nextVariable, .f32)
  }

  /// Buffers: an input, an output, three locals; all of them `width` elements a row, the locals filled first and
  /// shown last.
  private mutating func sample(_ name: String) -> Sample {
    var body: [Statement] = []
    for buffer in 2...4 {
      let lane = loop(width)
      body.append(vector(lane, [store(buffer, Position(lane), load(0, Position(row) * width + Position(lane)) * .float(Double(buffer)))]))
    }
    for _ in 0..<6 { body.append(contentsOf: statement(depth: 0, serial: nil)) }
    let lane = loop(width)
    let sum = load(2, Position(lane)) + load(3, Position(lane)) + load(4, Position(lane))
    body.append(vector(lane, [store(1, Position(row) * width + Position(lane), sum)]))
    let size = 3 * width
    return Sample(
      name, [input(size), output(size), local(width), local(width), local(width)], [parallel(row, body)],
      seed: UInt64(width)
    ).tolerance(1e-4)
  }

  private mutating func statement(depth: Int, serial counter: LoopVariable?) -> [Statement] {
    switch below(depth < 2 ? 7 : 5) {
    case 0, 1: return [lanes(counter)]
    case 2:
      // The leader stores what all threads know.
      let value = variable()
      return [
        .define(value, load(2 + below(3), scalarPosition(counter)) * .float(0.5)),
        store(2 + below(3), scalarPosition(counter), .variable(value)),
      ]
    case 3:
      return [store(2 + below(3), scalarPosition(counter), load(2 + below(3), scalarPosition(counter)) + .float(0.25))]
    case 4:
      let (sum, lane) = (variable(), loop(width))
      return [
        .accumulator(sum, .maximum),
        vector(lane, [.accumulate(sum, .maximum, load(2 + below(3), lanePosition(lane, counter)))]),
        store(2 + below(3), scalarPosition(counter), .variable(sum)),
      ]
    case 5:
      let inner = loop(3)
      var body: [Statement] = []
      for _ in 0..<3 { body += statement(depth: depth + 1, serial: inner) }
      return [serial(inner, body)]
    default:
      let condition = Scalar.compare(.less, load(2 + below(3), scalarPosition(counter)), .float(1))
      var body: [Statement] = []
      for _ in 0..<2 { body += statement(depth: depth + 1, serial: counter) }
      return [.conditional(condition, body)]
    }
  }

  /// A vector loop that stores to one local what it reads of the others, and of the same one only the same element.
  private mutating func lanes(_ counter: LoopVariable?) -> Statement {
    let (lane, target) = (loop(width), 2 + below(3))
    let source = 2 + (target - 2 + 1 + below(2)) % 3
    let at = lanePosition(lane, nil)
    let value = load(source, lanePosition(lane, counter)) * .float(0.5) + load(target, at) * .float(0.5)
    return vector(lane, [store(target, at, value)])
  }

  /// A different element for each lane.
  private mutating func lanePosition(_ lane: LoopVariable, _ counter: LoopVariable?) -> Position {
    switch below(counter == nil ? 3 : 4) {
    case 0: return Position(lane)
    case 1: return Position(lane) * -1 + (width - 1)
    case 2: return (Position(lane) + (1 + below(width - 1))) % width
    default: return counter.map { (Position(lane) + Position($0)) % width } ?? Position(lane)
    }
  }

  private mutating func scalarPosition(_ counter: LoopVariable?) -> Position {
    if let counter, below(2) == 0 { return Position(counter) + below(2) }
    return Position([0, 1, 2, width - 1].randomElement(using: &random) ?? 0)
  }
}
