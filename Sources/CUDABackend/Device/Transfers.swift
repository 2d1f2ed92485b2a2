import IR

/// Copies between ordinary host memory and a program's memory on a device, beside the program's run.
///
///     host bytes -> ring on the host -> ring on the device -> their place
///       written now     uploads, at once      work, after what is still running
///
/// Writing returns as soon as the bytes stand in the ring, and they go to the device while the last run is still going on:
/// only a copy on the device waits for it. The host waits where the ring is full of bytes that are not in their place yet.
/// Reading waits for the work that the bytes come from, and for nothing that was put into the queue after it.
public final class Transfers {
  private let queue: any DeviceQueue
  private let staging: UInt64
  private let uploads: TransferRing
  private let downloads: TransferRing
  /// Stands behind the last upload, and behind all work: each is set anew whenever it is to hold a lane.
  private let arrived: any QueueMark
  private let now: any QueueMark

  /// Bytes of device memory that transfers of tensors up to `largest` bytes need.
  ///
  /// Larger tensors than a piece go piece by piece. Four pieces hold what a run is given, in most programs, so that all of
  /// it is on its way before the last run has ended.
  public static func stagingBytes(largest: Int, limit: Int = 8 << 20) -> Int {
    4 * min(max(alignment, aligned(largest)), max(alignment, aligned(limit)))
  }

  /// - Parameters:
  ///   - staging: where `bytes` bytes of device memory are, as `stagingBytes` tells.
  public init(_ queue: any DeviceQueue, staging: UInt64, bytes: Int) throws(Diagnostic) {
    (self.queue, self.staging) = (queue, staging)
    uploads = try TransferRing(queue, bytes: bytes, pieces: 4)
    // One arrives while the other is moved out of the ring.
    downloads = try TransferRing(queue, bytes: bytes / 2, pieces: 2)
    (arrived, now) = (try queue.makeMark(), try queue.makeMark())
  }

  /// Copies bytes to the device, behind all the work that is in the queue.
  public func write(_ bytes: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic) {
    var at = 0
    while at < bytes.count {
      let count = min(uploads.pieceBytes, bytes.count - at)
      let piece = try uploads.take(count)
      let host = uploads[piece]
      host.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[at..<at + count]))
      let staged = staging + UInt64(piece.lowerBound)
      // Whoever used the piece before is done with it: `take` has waited for that.
      try queue.copy(from: UnsafeRawBufferPointer(host), to: staged)
      try arrived.set(in: .uploads)
      try arrived.hold(.work)
      try queue.copy(from: staged, to: address + UInt64(at), bytes: count)
      try uploads.mark(piece, in: .work)
      at += count
    }
  }

  /// Copies bytes from the device, as they are when the work is done that `mark` stands behind; without one, all that is
  /// in the queue.
  public func read(
    _ address: UInt64, into bytes: UnsafeMutableRawBufferPointer, after mark: (any QueueMark)? = nil
  ) throws(Diagnostic) {
    if mark == nil { try now.set(in: .work) }
    try (mark ?? now).hold(.downloads)
    var onTheWay: [(piece: Range<Int>, at: Int)] = []
    var at = 0
    while at < bytes.count || !onTheWay.isEmpty {
      if at < bytes.count, onTheWay.count < 2 {
        let count = min(downloads.pieceBytes, bytes.count - at)
        let piece = try downloads.take(count)
        try queue.copy(from: address + UInt64(at), to: downloads[piece])
        try downloads.mark(piece, in: .downloads)
        onTheWay.append((piece, at))
        at += count
        continue
      }
      let (piece, start) = onTheWay.removeFirst()
      try downloads.wait(for: piece)
      UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + piece.count]).copyMemory(
        from: UnsafeRawBufferPointer(downloads[piece]))
    }
  }

  /// What products and copies of a device want the start of a part of memory to be a multiple of.
  static let alignment = 256
  /// The next multiple.
  public static func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) / alignment * alignment }
}

/// Host memory that is used piece by piece, over and over, by copies of one lane.
private final class TransferRing {
  /// The most bytes of one piece.
  let pieceBytes: Int
  private let memory: DeviceHostMemory
  /// Where the next piece starts.
  private var next = 0
  /// Pieces in use, the oldest first, and the marks behind which they are free.
  private var pending: [(range: Range<Int>, mark: any QueueMark)] = []
  private var spare: [any QueueMark] = []

  /// The most pieces in use, small ones too.
  private static let mostPieces = 32

  init(_ queue: any DeviceQueue, bytes: Int, pieces: Int) throws(Diagnostic) {
    pieceBytes = bytes / pieces
    memory = try queue.allocateHost(bytes: bytes)
    for _ in 0..<Self.mostPieces { spare.append(try queue.makeMark()) }
  }

  subscript(piece: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: memory.bytes[piece])
  }

  /// The next piece, which nobody uses any more.
  func take(_ count: Int) throws(Diagnostic) -> Range<Int> {
    if next + count > memory.bytes.count { next = 0 }
    let piece = next..<next + count
    next = Transfers.aligned(piece.upperBound)
    if let last = pending.lastIndex(where: { $0.range.overlaps(piece) }) { try wait(number: last) }
    if spare.isEmpty { try wait(number: 0) }
    return piece
  }

  /// The piece is in use until `lane` has done all that is in it now.
  func mark(_ piece: Range<Int>, in lane: DeviceLane) throws(Diagnostic) {
    guard let mark = spare.last else { preconditionFailure("a piece that was taken has a mark") }
    try mark.set(in: lane)
    pending.append((piece, spare.removeLast()))
  }

  func wait(for piece: Range<Int>) throws(Diagnostic) {
    if let number = pending.lastIndex(where: { $0.range == piece }) { try wait(number: number) }
  }

  /// Waits for a piece; those before it are through as well.
  private func wait(number: Int) throws(Diagnostic) {
    try pending[number].mark.wait()
    spare += pending[...number].map(\.mark)
    pending.removeFirst(number + 1)
  }
}
