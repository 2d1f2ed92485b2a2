import CUDABackend
import Compiler
import Foundation
import IR

/// Times runs by the clock of a device.
///
/// Marks stand in the device's lane of work before and after a run, so that neither the host nor the launch counts. Before each
/// run more memory is copied than the device's cache holds: a run finds none of its data there.
package struct DeviceClock {
  private let queue: any DeviceQueue
  private let (start, end): (any QueueMark, any QueueMark)
  private let swept: DeviceMemory
  private var half: Int { swept.bytes / 2 }

  /// - Parameter sweptBytes: what is read and written to empty the cache.
  package init(_ queue: any DeviceQueue, sweptBytes: Int = 256 << 20) throws(Diagnostic) {
    self.queue = queue
    (start, end) = (try queue.makeMark(), try queue.makeMark())
    swept = try queue.allocate(bytes: sweptBytes)
  }

  /// Seconds of what `body` puts into the queue.
  package func seconds(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> Double {
    try copyHalf()
    try start.set(in: .work)
    try body()
    try end.set(in: .work)
    try queue.synchronize()
    return try end.seconds(since: start)
  }

  /// Runs `body` at least `repetitions` times, and for `seconds` of the host in all.
  package func timings(
    repetitions: Int, seconds: Double, _ body: () throws(Diagnostic) -> Void
  ) throws(Diagnostic) -> (device: [Double], processor: [Double]) {
    let clock = ContinuousClock()
    let begin = clock.now
    var (device, processor): ([Double], [Double]) = ([], [])
    while device.count < repetitions || (clock.now - begin).inSeconds < seconds {
      let used = ProcessUsage.processorSeconds
      device.append(try self.seconds(body))
      processor.append(ProcessUsage.processorSeconds - used)
    }
    return (device, processor)
  }

  /// Bytes that a copy reads and writes in a second, the best of some.
  package func copyRate() throws(Diagnostic) -> Double {
    var best = Double.infinity
    for _ in 0..<8 { best = min(best, try seconds { () throws(Diagnostic) in try copyHalf() }) }
    return Double(2 * half) / best
  }

  private func copyHalf() throws(Diagnostic) {
    try queue.copy(from: swept.address, to: swept.address + UInt64(half), bytes: half)
  }
}
