import Runtime

/// Numbers byte strings 0, 1, … in the order in which they came, and finds them again.
///
/// Open addressing over one array that holds all strings: looking one up allocates nothing.
struct ByteStringTable: Sendable {
  private var bytes: [UInt8] = []
  /// Where each string ends; it begins where the one before ends.
  private var ends: [Int] = []
  /// Numbers plus one, near the place of their hash; 0 is free.
  private var slots = [UInt32](repeating: 0, count: 1 << 10)

  var count: Int { ends.count }

  subscript(number: Int) -> ArraySlice<UInt8> { bytes[(number == 0 ? 0 : ends[number - 1])..<ends[number]] }

  /// The number of a piece of a text, if it is there.
  func number(of text: [UInt8], _ range: Range<Int>) -> Int? {
    var slot = place(of: text, range)
    while slots[slot] != 0 {
      let number = Int(slots[slot]) - 1
      if holds(number, text, range) { return number }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// The number of a piece of a text, which is added if it is not there.
  mutating func insert(_ text: [UInt8], _ range: Range<Int>) -> Int {
    if let number = number(of: text, range) { return number }
    if ends.count * 2 >= slots.count { grow() }
    bytes += text[range]
    ends.append(bytes.count)
    occupy(place(of: text, range), ends.count)
    return ends.count - 1
  }

  private mutating func occupy(_ start: Int, _ entry: Int) {
    var slot = start
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(entry)
  }

  private mutating func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    var start = 0
    for (number, end) in ends.enumerated() {
      occupy(place(of: bytes, start..<end), number + 1)
      start = end
    }
  }

  private func holds(_ number: Int, _ text: [UInt8], _ range: Range<Int>) -> Bool {
    let start = number == 0 ? 0 : ends[number - 1]
    guard ends[number] - start == range.count else { return false }
    for offset in 0..<range.count where bytes[start + offset] != text[range.lowerBound + offset] { return false }
    return true
  }

  /// FNV-1a, its bits scattered.
  private func place(of text: [UInt8], _ range: Range<Int>) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for at in range { hash = (hash ^ UInt64(text[at])) &* 0x100_0000_01b3 }
    return Int(SplitMix64.mixed(hash) & UInt64(slots.count - 1))
  }
}

/// A queue that gives its least element first.
struct BinaryHeap<Element: Comparable> {
  private var elements: [Element] = []

  mutating func push(_ element: Element) {
    elements.append(element)
    var child = elements.count - 1
    while child > 0, elements[child] < elements[(child - 1) / 2] {
      elements.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> Element? {
    guard let last = elements.popLast() else { return nil }
    guard let least = elements.first else { return last }
    elements[0] = last
    var parent = 0
    while true {
      var next = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count && elements[child] < elements[next] {
        next = child
      }
      if next == parent { return least }
      elements.swapAt(parent, next)
      parent = next
    }
  }
}
