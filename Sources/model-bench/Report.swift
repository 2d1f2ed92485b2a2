import Compiler
import Foundation
import IR
import Runtime
import Training

/// Measurements as people and as scripts read them.
struct Report {
  let device: CompileTarget
  let threads: Int
  let limits: MachineLimits?
  var measurements: [Measurement] = []

  /// The machine, and the names of the columns.
  var header: String {
    var machine = "\(ProcessUsage.processor), \(threads) threads, \(device.rawValue), load \(loads)"
    if let limits {
      let products = limits.productRates.sorted { $0.key.rawValue < $1.key.rawValue }
        .map { String(format: "%.1f GFLOP/s in \($0.key.rawValue)", $0.value * 1e-9) }
      machine += String(format: "\ncopy %.1f GB/s, product ", limits.copyRate * 1e-9) + products.joined(separator: ", ")
    }
    return machine + "\n\n" + Report.columns.map { $0.title.padded(to: $0.width) }.joined(separator: "  ")
  }

  private var loads: String { ProcessUsage.load.map { String(format: "%.2f", $0) }.joined(separator: " ") }

  private static let columns: [(title: String, width: Int)] = [
    ("workload", -16), ("p50 ms", 9), ("p90 ms", 9), ("min ms", 9), ("moved", 6), ("GB/s", 6), ("copy", 5), ("GFLOP/s", 7),
    ("product", 7), ("compile ms", 10), ("cached", 7), ("planned MiB", 11), ("used MiB", 8),
    ("process", 7),
  ]

  /// One line; with a profile, one more for each of its longest kernels.
  func row(_ m: Measurement) -> String {
    func milliseconds(_ seconds: Double?) -> String { seconds.map { String(format: "%.2f", $0 * 1e3) } ?? "–" }
    func whole(_ seconds: Double?) -> String { seconds.map { String(format: "%.0f", $0 * 1e3) } ?? "–" }
    func mebibytes(_ bytes: Int?) -> String { bytes.map { String(format: "%.1f", Double($0) / 1_048_576) } ?? "–" }
    func share(_ rate: Double, of limit: Double?) -> String { limit.map { String(format: "%.0f%%", 100 * rate / $0) } ?? "–" }
    let texts = [
      m.name, milliseconds(m.timings.median), milliseconds(m.timings.p90), milliseconds(m.timings.shortest),
      m.movedBytes.map { String(format: "%.2f×", Double($0) / Double(max(1, m.leastBytes))) } ?? "–",
      String(format: "%.1f", m.byteRate * 1e-9), share(m.byteRate, of: limits?.copyRate),
      String(format: "%.1f", m.operationRate * 1e-9), share(m.operationRate, of: limits?.productRates[m.precision]),
      whole(m.traceSeconds + m.coldSeconds), whole(m.cachedSeconds.map { $0 + m.traceSeconds }),
      mebibytes(m.plannedBytes), mebibytes(m.usedBytes), mebibytes(m.peakBytes),
    ]
    let row = zip(texts, Report.columns).map { $0.padded(to: $1.width) }.joined(separator: "  ")
    let total = m.profile.reduce(0) { $0 + $1.seconds }
    let kernels = m.profile.prefix(20).map { kernel in
      "  " + milliseconds(kernel.seconds).padded(to: 9) + " ms " + share(kernel.seconds, of: total).padded(to: 4)
        + String(format: " %4d ×  ", kernel.launches) + kernel.kernel
    }
    return ([row] + kernels).joined(separator: "\n")
  }
}

// MARK: JSON

extension Report {
  /// `context` and `benchmarks` with their counters, as Google Benchmark writes them.
  var json: JSON {
    var context: JSON = [
      "date": .string(Date().ISO8601Format()), "executable": "model-bench", "num_cpus": .integer(ProcessInfo.processInfo.activeProcessorCount),
      "processor": .string(ProcessUsage.processor), "threads": .integer(threads), "device": .string(device.rawValue),
      "load_avg": .array(ProcessUsage.load.map { .number($0) }), "library_build_type": .string(Report.buildType),
    ]
    if let limits {
      context = context.merging([
        "copy_bytes_per_second": .number(limits.copyRate),
        "product_flops_per_second": JSON(limits.productRates.sorted { $0.key.rawValue < $1.key.rawValue }
          .map { ($0.key.rawValue, .number($0.value)) }),
      ])
    }
    return ["context": context, "benchmarks": .array(measurements.map(entry))]
  }

  private static var buildType: String {
    #if DEBUG
      "debug"
    #else
      "release"
    #endif
  }

  private func entry(_ m: Measurement) -> JSON {
    var entry: JSON = [
      "name": .string(m.name), "run_name": .string(m.name), "run_type": "iteration", "precision": .string(m.precision.rawValue),
      "iterations": .integer(m.timings.wall.count), "real_time": .number(m.timings.median * 1e3),
      "cpu_time": .number(m.timings.medianProcessor * 1e3), "time_unit": "ms",
      "p90_time": .number(m.timings.p90 * 1e3), "min_time": .number(m.timings.shortest * 1e3),
      "bytes_min": .integer(m.leastBytes), "bytes_per_second": .number(m.byteRate),
      "flops": .integer(m.operations), "flops_per_second": .number(m.operationRate),
      "trace_ms": .number(m.traceSeconds * 1e3), "compile_cold_ms": .number((m.traceSeconds + m.coldSeconds) * 1e3),
      "peak_rss_bytes": .integer(m.peakBytes),
    ]
    let optional: [(String, JSON?)] = [
      ("compile_cached_ms", m.cachedSeconds.map { .number((m.traceSeconds + $0) * 1e3) }),
      ("planned_bytes", m.plannedBytes.map { .integer($0) }), ("used_bytes", m.usedBytes.map { .integer($0) }),
      ("bytes_moved", m.movedBytes.map { .integer($0) }), ("launches", m.launches.map { .integer($0) }),
      ("kernels", m.kernels.map { .integer($0) }),
      ("copy_share", limits.map { .number(m.byteRate / $0.copyRate) }),
      ("product_share", limits?.productRates[m.precision].map { .number(m.operationRate / $0) }),
    ]
    var more: [(String, JSON)] = []
    for case (let key, let value?) in optional { more.append((key, value)) }
    if !m.profile.isEmpty {
      more.append(("profile", .array(m.profile.map {
        ["kernel": .string($0.kernel), "launches": .integer($0.launches), "ms": .number($0.seconds * 1e3)]
      })))
    }
    let checksums = m.checksums.sorted { $0.key < $1.key }.map { ($0.key, JSON.number($0.value)) }
    more.append(("checksums", JSON(checksums)))
    entry = entry.merging(JSON(more))
    return entry
  }
}

extension JSON {
  fileprivate init(_ members: [(String, JSON)]) {
    var object = Object()
    for (key, value) in members { object.set(key, value) }
    self = .object(object)
  }

  /// This object with the members of another after its own.
  fileprivate func merging(_ other: JSON) -> JSON {
    guard case .object(var object) = content, case .object(let more) = other.content else { return self }
    for member in more.members { object.set(member.key, member.value) }
    return .object(object)
  }
}

extension String {
  /// Filled up with spaces: on the left to `width`, on the right to `-width` where that is negative.
  fileprivate func padded(to width: Int) -> String {
    let spaces = String(repeating: " ", count: max(0, abs(width) - count))
    return width < 0 ? self + spaces : spaces + self
  }
}
