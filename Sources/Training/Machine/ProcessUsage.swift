import Foundation

/// What the system counts for this process.
package enum ProcessUsage {
  /// Processor time so far, in seconds, of all threads.
  package static var processorSeconds: Double {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// The most memory held since `resetPeak`, or since the start where the system cannot reset it; in bytes.
  package static var peakBytes: Int { status("VmHWM:") ?? 0 }

  /// Memory held now, in bytes.
  package static var residentBytes: Int { status("VmRSS:") ?? 0 }

  /// Makes what is held now the peak.
  package static func resetPeak() {
    guard let file = fopen("/proc/self/clear_refs", "w") else { return }
    fputs("5", file)
    fclose(file)
  }

  /// A line of `/proc/self/status`, given there in kB.
  private static func status(_ key: String) -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
    guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(key) }) else { return nil }
    return line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }.map { $0 * 1024 }
  }

  /// The processor's name.
  package static var processor: String { processorLine(["model name"]) ?? "unknown processor" }

  /// What the processor can do beyond the least of its kind, as the system names it.
  package static var processorFeatures: [String] {
    let vectors = ["sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm"]
    let all = processorLine(["flags", "Features"])?.split(separator: " ").map(String.init) ?? []
    return all.filter { feature in vectors.contains { feature.hasPrefix($0) } }
  }

  private static func processorLine(_ keys: [String]) -> String? {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { line in keys.contains { line.hasPrefix($0) } }
    return line?.split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// Processes that wanted to run, on average over 1, 5 and 15 minutes.
  package static var load: [Double] {
    var averages = [Double](repeating: 0, count: 3)
    let count = getloadavg(&averages, 3)
    return Array(averages.prefix(max(0, Int(count))))
  }
}
