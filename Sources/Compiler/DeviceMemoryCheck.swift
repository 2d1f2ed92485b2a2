import CUDABackend
import Foundation
import IR
import Passes

/// What a program needs of a device, and whether the device has it.
extension LoweredProgram {
  /// Where the memory of launches stands that belongs to no value: behind the plan's.
  var scratchOffset: Int { Transfers.aligned(plan.bytes) }
  /// Where what is written waits for its place: behind that.
  func stagingOffset(on queue: any DeviceQueue) -> Int { scratchOffset + Transfers.aligned(queue.scratchBytes) }

  /// Bytes of the largest tensors that pass between host and device at a time.
  var stagingBytes: Int {
    Transfers.stagingBytes(largest: (plan.parameters + plan.results).map(\.bytes).max() ?? 0)
  }

  /// Bytes of all the memory that the program takes on a device: values, scratch of kernels and products, staging.
  func deviceBytes(on queue: any DeviceQueue) -> Int { stagingOffset(on: queue) + stagingBytes }

  /// Throws, before anything is allocated, if the program wants more memory than `limit` or than is free.
  func checkMemory(on queue: any DeviceQueue, limit: Int?) throws(Diagnostic) {
    let wanted = deviceBytes(on: queue)
    let free = try queue.freeBytes()
    let reason: String
    if let limit, wanted > limit {
      reason = "the limit is \(Self.text(limit))"
    } else if let free, wanted > free {
      reason = "\(Self.text(free)) are free"
    } else {
      return
    }
    let kept = Set(plan.parameters + plan.results).reduce(0) { $0 + $1.bytes }
    let step = plan.largestStep
    var message = "@\(source.name) wants \(Self.text(wanted)) of memory on \(queue.deviceName), and \(reason): "
    message += "\(Self.text(kept)) are parameters and results, \(Self.text(wanted - scratchOffset)) are for products and copies"
    if let step { message += ", the largest launch, @\(plan.steps[step].kernel), works on \(Self.text(plan.steps[step].bytes))" }
    throw Diagnostic(message, at: step.map { plan.steps[$0].location } ?? .unknown)
  }

  /// An error of a device with the launch it belongs to.
  func located(_ error: Diagnostic, at step: Int?, on queue: any DeviceQueue) -> Diagnostic {
    guard let step else { return error }
    var error = error
    error.message = "@\(plan.steps[step].kernel) of @\(source.name) on \(queue.deviceName): \(error.message)"
    error.location = plan.steps[step].location
    return error
  }

  /// `1.50 GiB`
  static func text(_ bytes: Int) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"]
    var (value, unit) = (Double(bytes) / 1024, 0)
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    return String(format: "%.2f \(units[unit])", value)
  }
}

extension MemoryPlan {
  /// The launch that touches most memory.
  var largestStep: Int? { steps.indices.max { (steps[$0].bytes, $1) < (steps[$1].bytes, $0) } }
}

extension MemoryPlan.Slot {
  func overlaps(_ other: MemoryPlan.Slot) -> Bool {
    offset < other.offset + other.bytes && other.offset < offset + bytes
  }
}

extension MemoryPlan.Step {
  /// Bytes of the buffers it touches, each place once.
  var bytes: Int { Set(buffers).reduce(0) { $0 + $1.bytes } }
}
