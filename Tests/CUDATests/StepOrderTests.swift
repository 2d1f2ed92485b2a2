import IR
import Passes
import Testing

@testable import Compiler

/// Which steps of a program wait for each other.
@Suite("order of steps") struct StepOrderTests {
  static func slot(_ offset: Int, _ bytes: Int = 64) -> MemoryPlan.Slot { MemoryPlan.Slot(offset: offset, bytes: bytes) }

  /// Whether the order makes one step wait for another, directly or not.
  static func reaches(_ order: StepOrder, _ first: Int, _ second: Int) -> Bool {
    if first == second { return true }
    if first > second { return false }
    var direct = order.waits[second]
    if let before = order.strands[..<second].lastIndex(of: order.strands[second]) { direct.append(before) }
    return direct.contains { reaches(order, first, $0) }
  }

  @Test("what is independent goes side by side, and what is not waits")
  func sides() {
    // Two chains that meet: 0 → 2, 1 → 3, then 4 reads both.
    let order = StepOrder(
      [
        .init(reads: [], writes: [Self.slot(0)]), .init(reads: [], writes: [Self.slot(64)]),
        .init(reads: [Self.slot(0)], writes: [Self.slot(128)]), .init(reads: [Self.slot(64)], writes: [Self.slot(192)]),
        .init(reads: [Self.slot(128, 128)], writes: [Self.slot(256)]),
      ], most: 4)
    #expect(order.strands[0] == order.strands[2] && order.strands[1] == order.strands[3])
    #expect(order.strands[0] != order.strands[1])
    #expect(order.waits.map(\.count) == [0, 0, 0, 0, 1])
  }

  @Test("memory that is used again waits for whoever read and wrote it", arguments: 0..<40)
  func hazards(seed: UInt64) {
    var random = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
    func draw(_ below: Int) -> Int {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(random >> 33) % below
    }
    func slots() -> [MemoryPlan.Slot] { (0..<draw(3)).map { _ in Self.slot(64 * draw(12), 64 * (1 + draw(4))) } }
    let steps = (0..<30).map { _ in StepOrder.Accesses(reads: slots(), writes: slots()) }
    let order = StepOrder(steps, most: 1 + draw(4))
    func meet(_ a: [MemoryPlan.Slot], _ b: [MemoryPlan.Slot]) -> Bool { a.contains { x in b.contains { x.overlaps($0) } } }
    for (number, step) in steps.enumerated() {
      for (other, earlier) in steps[..<number].enumerated() {
        let isBound =
          meet(earlier.writes, step.reads) || meet(earlier.reads, step.writes) || meet(earlier.writes, step.writes)
        if isBound { #expect(Self.reaches(order, other, number), "\(other) → \(number)") }
      }
      for other in order.waits[number] { #expect(order.isMarked(other)) }
    }
    for (strand, number) in order.last { #expect(order.strands[number] == strand && order.isMarked(number)) }
  }
}
