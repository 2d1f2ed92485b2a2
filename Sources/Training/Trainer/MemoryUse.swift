import Compiler
import DSL
import Foundation
import IR
import Models
import Runtime

/// How evenly a memory reads its table: the two figures by which a collapse shows.
public struct MemoryUse: Hashable, Sendable {
  /// The share of rows that are read at all.
  public let usage: Double
  /// How far the reads are from uniform, log N + Σ p log p over the shares p of N rows: 0 if all are read alike, log N if
  /// one row is read alone.
  public let divergence: Double

  init(reads: [UInt32]) {
    let total = reads.reduce(0.0) { $0 + Double($1) }
    usage = Double(reads.count { $0 > 0 }) / Double(max(1, reads.count))
    var entropy = 0.0
    for count in reads where count > 0 {
      let share = Double(count) / total
      entropy -= share * log(share)
    }
    divergence = max(0, log(Double(max(1, reads.count))) - entropy)
  }

  /// Which of the values that a model points out are wanted for this.
  static func isWanted(_ name: String) -> Bool {
    name.hasSuffix(".\(MemoryNames.reads)") || name.hasSuffix(".\(MemoryNames.rows)")
  }
}

/// Counts how often each row of each memory is read.
struct MemoryCounts {
  private var reads: [String: [UInt32]] = [:]

  var uses: [String: MemoryUse] { reads.mapValues { MemoryUse(reads: $0) } }

  /// Adds what a run has observed.
  mutating func add(_ run: any Executable) throws(Diagnostic) {
    for (number, name) in run.function.resultNames.enumerated() {
      guard let memory = Self.memory(name, MemoryNames.reads),
        let rows = run.resultNumber(ValueNames.observed("\(memory).\(MemoryNames.rows)"))
      else { continue }
      if reads[memory] == nil {
        let count = try run.result(rows).literal.integers[0]
        reads[memory] = [UInt32](repeating: 0, count: Int(count))
      }
      for id in try run.result(number).literal.integers where id >= 0 { reads[memory]?[Int(id)] += 1 }
    }
  }

  /// `memories.0` of `observed/memories.0.reads`.
  private static func memory(_ name: String, _ last: String) -> String? {
    let (prefix, suffix) = (ValueNames.observed(""), ".\(last)")
    guard name.hasPrefix(prefix), name.hasSuffix(suffix) else { return nil }
    return String(name.dropFirst(prefix.count).dropLast(suffix.count))
  }
}
