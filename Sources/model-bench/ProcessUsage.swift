import Foundation

/// What the system counts for this process.
enum ProcessUsage {
  /// Processor time so far, in seconds, of all threads.
  static var processorSeconds: Double {
    var time = timespec()
    guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }

  /// The most memory held since `resetPeak`, or since the start where the system cannot reset it; in bytes.
  static var peakBytes: Int { status("VmHWM:") ?? 0 }

  /// Memory held now, in bytes.
  static var residentBytes: Int { status("VmRSS:") ?? 0 }

  /// Makes what is held now the peak.
  static func resetPeak() {
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
  static var processor: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
  }

  /// Processes that wanted to run, on average over 1, 5 and 15 minutes.
  static var load: [Double] {
    var averages = [Double](repeating: 0, count: 3)
    let count = getloadavg(&averages, 3)
    return Array(averages.prefix(max(0, Int(count))))
  }
}
