import ArgumentParser
import Compiler
import IR

/// What runs the programs of a command.
struct MachineOptions: ParsableArguments {
  @Option(help: "What runs the programs: \(CompileTarget.allCases.map(\.rawValue).joined(separator: ", ")).")
  var backend: CompileTarget = .cpu
  @Option(help: "Threads that run kernels (default: MILLRACE_THREADS, or all cores). Results do not depend on it.")
  var threads: Int?
  @Option(
    help: """
      What products of matrices are computed in, and rows are kept in between kernels: f32; tf32, which \
      lets a GPU round factors to 10 bits; or bf16 with sums in f32. Parameters, norms, coefficients, routers and losses \
      are f32.
      """)
  var precision: Precision = .f32

  @Option(
    help: ArgumentHelp("cuda: the memory a program may take, such as 6GB or 512MiB (default: all that is free).", valueName: "bytes"))
  var deviceMemoryLimit: ByteCount?
  @Flag(help: "cuda: wait after every launch, so that a fault is told with its kernel and model line.")
  var checkLaunches = false

  func validate() throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads wants 1 to 1024, got \(threads)") }
  }

  var compileOptions: CompileOptions {
    var options = CompileOptions(
      threads: threads, deviceMemoryLimit: deviceMemoryLimit?.bytes, checksLaunches: checkLaunches)
    options.precision = precision
    return options
  }
}

extension Precision: ExpressibleByArgument {}

/// An amount of memory: `6GB`, `512MiB`, `1000000`.
struct ByteCount: ExpressibleByArgument {
  let bytes: Int

  private static let units: [(name: String, bytes: Int)] = [
    ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1),
    ("", 1),
  ]

  init?(argument: String) {
    for unit in Self.units where argument.hasSuffix(unit.name) {
      guard let value = Double(argument.dropLast(unit.name.count)), value >= 0, value * Double(unit.bytes) < 1e15 else {
        return nil
      }
      bytes = Int(value * Double(unit.bytes))
      return
    }
    return nil
  }
}

/// Throws a usage error unless an option's value is within limits.
func check<T: Comparable>(_ name: String, _ value: T?, _ range: ClosedRange<T>) throws {
  guard let value, !range.contains(value) else { return }
  throw ValidationError("--\(name) wants \(range.lowerBound) to \(range.upperBound), got \(value)")
}
