import IR

/// Copies between ordinary host memory and a device, through a ring of host memory that the device can reach.
///
/// Writing returns as soon as the bytes stand in the ring, so that what is written for the next run arrives while the
/// last one is still going on. It waits only where the ring is full of bytes that are not on the device yet.
public final class Transfers {
  private let queue: any DeviceQueue
  private let ring: DeviceHostMemory
  /// The most bytes of one copy: larger tensors go piece by piece, one on its way while another is moved here.
  private let pieceBytes: Int
  /// Where the next piece starts.
  private var next = 0
  /// Pieces on their way, the oldest first.
  private var pending: [(range: Range<Int>, mark: any QueueMark)] = []
  private var spare: [any QueueMark] = []

  /// - Parameters:
  ///   - largest: bytes of the largest tensor there is; the ring is no larger than it helps.
  ///   - limit: the most bytes of one copy.
  public init(_ queue: any DeviceQueue, largest: Int, limit: Int = 8 << 20) throws(Diagnostic) {
    self.queue = queue
    pieceBytes = min(max(64 << 10, largest), limit)
    ring = try queue.allocateHost(bytes: 4 * pieceBytes)
  }

  /// Copies bytes to the device, behind all that is in the queue.
  public func write(_ bytes: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    var at = 0
    while at < bytes.count {
      let count = min(pieceBytes, bytes.count - at)
      let piece = try take(count)
      UnsafeMutableRawBufferPointer(rebasing: ring.bytes[piece]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: bytes[at..<at + count]))
      try queue.copy(from: UnsafeRawBufferPointer(rebasing: ring.bytes[piece]), to: address + UInt64(at))
      try mark(piece)
      at += count
    }
  }

  /// Copies bytes from the device, as they are when all is done that is in the queue.
  public func read(_ address: UInt64, into bytes: UnsafeMutableRawBufferPointer) throws(Diagnostic) {
    var onTheWay: [(piece: Range<Int>, at: Int)] = []
    var at = 0
    while at < bytes.count || !onTheWay.isEmpty {
      // Two pieces at a time: one arrives while the other is moved out of the ring.
      if at < bytes.count, onTheWay.count < 2 {
        let count = min(pieceBytes, bytes.count - at)
        let piece = try take(count)
        try queue.copy(from: address + UInt64(at), to: UnsafeMutableRawBufferPointer(rebasing: ring.bytes[piece]))
        try mark(piece)
        onTheWay.append((piece, at))
        at += count
        continue
      }
      let (piece, start) = onTheWay.removeFirst()
      try wait { $0 == piece }
      UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + piece.count]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: ring.bytes[piece]))
    }
  }

  /// The next free part of the ring.
  private func take(_ count: Int) throws(Diagnostic) -> Range<Int> {
    if next + count > ring.bytes.count { next = 0 }
    let piece = next..<next + count
    // Copies start at multiples of what the device moves at once.
    next = (piece.upperBound + 255) / 256 * 256
    while let last = pending.lastIndex(where: { $0.range.overlaps(piece) }) {
      let range = pending[last].range
      try wait { $0 == range }
    }
    return piece
  }

  private func mark(_ piece: Range<Int>) throws(Diagnostic) {
    let mark: any QueueMark
    if let free = spare.popLast() { mark = free } else { mark = try queue.makeMark() }
    try mark.set()
    pending.append((piece, mark))
  }

  /// Waits for the newest piece that is meant; those before it are through as well.
  private func wait(for isMeant: (Range<Int>) -> Bool) throws(Diagnostic) {
    guard let number = pending.lastIndex(where: { isMeant($0.range) }) else { return }
    try pending[number].mark.wait()
    spare += pending[...number].map(\.mark)
    pending.removeFirst(number + 1)
  }
}
