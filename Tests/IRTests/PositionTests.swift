import IR
import TestSupport
import Testing

extension Position {
  /// The plain meaning of a position.
  func value(_ loop: (LoopVariable) -> Int) -> Int {
    terms.reduce(constant) { sum, term in
      let atom: Int
      switch term.atom {
      case .loop(let variable): atom = loop(variable)
      case .quotient(let inner, let by): atom = floorDivision(inner.value(loop), by).quotient
      case .remainder(let inner, let by): atom = floorDivision(inner.value(loop), by).remainder
      case .variable: atom = 0
      }
      return sum + term.coefficient * atom
    }
  }
}

func floorDivision(_ a: Int, _ b: Int) -> (quotient: Int, remainder: Int) {
  let remainder = ((a % b) + b) % b
  return ((a - remainder) / b, remainder)
}

/// A position beside the function it was built to be.
struct Meaning {
  var position: Position
  var value: ([Int]) -> Int

  static func random(_ loops: [LoopVariable], depth: Int, _ generator: inout Seeded) -> Meaning {
    if depth == 0 || Int.random(in: 0..<6, using: &generator) == 0 {
      if Bool.random(using: &generator) {
        let constant = Int.random(in: -9...9, using: &generator)
        return Meaning(position: Position(constant)) { _ in constant }
      }
      let number = Int.random(in: 0..<loops.count, using: &generator)
      return Meaning(position: Position(loops[number])) { $0[number] }
    }
    let a = random(loops, depth: depth - 1, &generator)
    switch Int.random(in: 0..<7, using: &generator) {
    case 0, 1:
      let b = random(loops, depth: depth - 1, &generator)
      return Meaning(position: a.position + b.position) { a.value($0) + b.value($0) }
    case 2:
      let b = random(loops, depth: depth - 1, &generator)
      return Meaning(position: a.position - b.position) { a.value($0) - b.value($0) }
    case 3, 4:
      let factor = [-3, -1, 0, 2, 3, 4, 6, 8].randomElement(using: &generator) ?? 1
      return Meaning(position: a.position * factor) { a.value($0) * factor }
    case 5:
      let by = [1, 2, 3, 4, 6, 8, 12, 24].randomElement(using: &generator) ?? 1
      return Meaning(position: a.position / by) { floorDivision(a.value($0), by).quotient }
    default:
      let by = [1, 2, 3, 4, 6, 8, 12, 24].randomElement(using: &generator) ?? 1
      return Meaning(position: a.position % by) { floorDivision(a.value($0), by).remainder }
    }
  }
}

@Suite("laws of positions") struct PositionLaws {
  @Test("arithmetic means what it says, ranges hold every value, the normal form is its own")
  func arithmetic() {
    var generator = Seeded(1)
    for _ in 0..<4000 {
      let extents = (0..<3).map { _ in Int.random(in: 1...6, using: &generator) }
      let loops = extents.enumerated().map { LoopVariable($0, below: $1) }
      let meaning = Meaning.random(loops, depth: Int.random(in: 1...6, using: &generator), &generator)
      let range = meaning.position.range
      for at in Positions(of: extents) {
        let got = meaning.position.value { at[$0.id] }
        if got != meaning.value(at) || range?.contains(got) != true {
          Issue.record(
            "\(meaning.position) is \(got) at \(at), wanted \(meaning.value(at)), in \(String(describing: range))")
          return
        }
      }
      #expect(meaning.position.replacing(loop: { Position($0) }) == meaning.position)
    }
  }

  @Test("terms may be added in any order")
  func order() {
    var generator = Seeded(2)
    let loops = [LoopVariable(0, below: 7), LoopVariable(1, below: 5), LoopVariable(2, below: 9)]
    for _ in 0..<2000 {
      var parts = (0..<5).map { _ in Meaning.random(loops, depth: 3, &generator).position }
      let sum = parts.reduce(Position(0), +)
      parts.shuffle(using: &generator)
      #expect(parts.reduce(Position(0), +) == sum)
    }
  }

  @Test("offset and position are each other's inverse")
  func inverse() {
    var generator = Seeded(3)
    for _ in 0..<1000 {
      let shape = (0..<Int.random(in: 0...4, using: &generator)).map { _ in Int.random(in: 1...12, using: &generator) }
      let at = shape.enumerated().map { Position(LoopVariable($0, below: $1)) }
      #expect(Position.position(of: .offset(of: at, in: shape), in: shape) == at)
      let flat = Position(LoopVariable(9, below: shape.reduce(1, *)))
      #expect(Position.offset(of: Position.position(of: flat, in: shape), in: shape) == flat)
    }
    #expect(Position.position(of: Position(0), in: [0, 4]).count == 2)
  }

  @Test("a step is the difference of neighbours wherever it is known")
  func step() {
    var generator = Seeded(4)
    for _ in 0..<2000 {
      let loops = [LoopVariable(0, below: 5), LoopVariable(1, below: 4)]
      let meaning = Meaning.random(loops, depth: 4, &generator)
      guard let step = meaning.position.step(along: loops[0]) else { continue }
      for at in Positions(of: [4, 4]) {
        #expect(meaning.value([at[0] + 1, at[1]]) - meaning.value(at) == step)
      }
    }
  }

  @Test("what is contiguous by a width is so in each of its parts")
  func contiguity() {
    var generator = Seeded(5)
    var found = 0
    for _ in 0..<4000 {
      let loops = [LoopVariable(0, below: 8), LoopVariable(1, below: 4)]
      let meaning = Meaning.random(loops, depth: 4, &generator)
      for width in [2, 4] where meaning.position.isContiguous(along: loops[0], by: width) {
        found += 1
        for at in Positions(of: [8, 4]) where at[0] % width != 0 {
          #expect(meaning.value(at) - meaning.value([at[0] - 1, at[1]]) == 1)
        }
      }
    }
    #expect(found > 20)
    let lane = LoopVariable(0, below: 2048)
    let heads = Position(lane) / 32 * 256 + Position(lane) % 32
    #expect(heads.isContiguous(along: lane, by: 8) && heads.isContiguous(along: lane, by: 32))
    #expect(!heads.isContiguous(along: lane, by: 64) && !(heads * 2).isContiguous(along: lane, by: 2))
  }

  @Test("quotients vanish where ranges allow it")
  func simplification() {
    let (r, a, d) = (LoopVariable(0, below: 100), LoopVariable(1, below: 8), LoopVariable(2, below: 7))
    let flat = Position(r) * 64 + Position(a) * 8 + Position(d) + 1
    #expect(flat / 64 == Position(r))
    #expect(flat % 64 == Position(a) * 8 + Position(d) + 1)
    #expect(flat / 128 == Position(r) / 2)
    #expect(flat % 128 == Position(r) % 2 * 64 + Position(a) * 8 + Position(d) + 1)
    #expect(flat / 8 % 8 == Position(a))
    #expect(flat % 8 == Position(d) + 1)
    #expect(Position(r) / 10 * 10 + Position(r) % 10 == Position(r))
  }
}
