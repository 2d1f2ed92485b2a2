import ArgumentParser
import Compiler
import IR

/// What runs the programs of a command.
struct MachineOptions: ParsableArguments {
  @Option(help: "What runs the programs: \(CompileTarget.allCases.map(\.rawValue).joined(separator: ", ")).")
  var backend: CompileTarget = .cpu
  @Option(help: "Threads that run kernels (default: MILLRACE_THREADS, or all cores). Results do not depend on it.")
  var threads: Int?

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads wants 1 to 1024, got \(threads)") }
  }

  var compileOptions: CompileOptions { CompileOptions(threads: threads) }
}

/// Throws a usage error unless an option's value is within limits.
func check<T: Comparable>(_ name: String, _ value: T?, _ range: ClosedRange<T>) throws {
  guard let value, !range.contains(value) else { return }
  throw ValidationError("--\(name) wants \(range.lowerBound) to \(range.upperBound), got \(value)")
}
