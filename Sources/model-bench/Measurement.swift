import Compiler
import IR
import Training

/// The seconds that runs of a program took.
struct Timings {
  /// In order of time, shortest first.
  private(set) var wall: [Double] = []
  private(set) var processor: [Double] = []

  /// Runs `body` at least `repetitions` times, and for `seconds` in all.
  init(repetitions: Int, seconds: Double, _ body: () throws(Diagnostic) -> Void) throws(Diagnostic) {
    let clock = ContinuousClock()
    let begin = clock.now
    while wall.count < repetitions || (clock.now - begin).inSeconds < seconds {
      let (start, used) = (clock.now, ProcessUsage.processorSeconds)
      try body()
      wall.append((clock.now - start).inSeconds)
      processor.append(ProcessUsage.processorSeconds - used)
    }
    wall.sort()
    processor.sort()
  }

  init(wall: [Double], processor: [Double]) {
    self.wall = wall.sorted()
    self.processor = processor.sorted()
  }

  /// The time that a share of the runs does not exceed (nearest rank).
  static func percentile(_ share: Double, of sorted: [Double]) -> Double {
    guard !sorted.isEmpty else { return 0 }
    let rank = Int((share * Double(sorted.count)).rounded(.up))
    return sorted[min(max(rank, 1), sorted.count) - 1]
  }

  var median: Double { Timings.percentile(0.5, of: wall) }
  var p90: Double { Timings.percentile(0.9, of: wall) }
  var shortest: Double { wall.first ?? 0 }
  var medianProcessor: Double { Timings.percentile(0.5, of: processor) }
}

/// What was seen of one workload.
struct Measurement {
  let name: String
  let precision: Precision
  let timings: Timings
  /// Bytes of all parameters and results, each once.
  let leastBytes: Int
  /// Floating-point operations of the program as it was declared.
  let operations: Int
  /// Tracing and differentiation.
  let traceSeconds: Double
  /// Compilation with nothing on disk, and again with the kernels there.
  let coldSeconds: Double
  var cachedSeconds: Double?
  /// Bytes of the memory plan, and how many of them the runs used.
  var plannedBytes: Int?
  var usedBytes: Int?
  /// Bytes that the kernels read and write.
  var movedBytes: Int?
  let peakBytes: Int
  var launches: Int?
  var kernels: Int?
  /// Sums of what was computed.
  let checksums: [String: Double]
  var profile: [KernelTime] = []

  /// The least bytes in a second, at the median.
  var byteRate: Double { Double(leastBytes) / timings.median }
  /// Operations in a second, at the median.
  var operationRate: Double { Double(operations) / timings.median }
}

/// The time one kernel takes in a run, all its launches together.
struct KernelTime {
  let kernel: String
  let launches: Int
  let seconds: Double
}

extension KernelTime {
  /// The kernels of a program, the longest first; each launch counts with the shortest of some runs.
  static func all(of program: any LoweredExecutable) throws(Diagnostic) -> [KernelTime] {
    var shortest = try program.profile()
    for _ in 0..<4 {
      for (number, step) in try program.profile().enumerated() {
        shortest[number].seconds = min(shortest[number].seconds, step.seconds)
      }
    }
    return Dictionary(grouping: shortest, by: \.kernel)
      .map { KernelTime(kernel: $0, launches: $1.count, seconds: $1.reduce(0) { $0 + $1.seconds }) }
      .sorted { ($1.seconds, $0.kernel) < ($0.seconds, $1.kernel) }
  }
}
