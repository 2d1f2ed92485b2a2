import CUDABackend
import IR
import Passes
import Runtime

/// A function as CUDA text that this machine's processor executes, with the memory it runs in: `CPUProgram`'s twin for
/// checking what a GPU would do.
public final class EmulatedProgram {
  public let program: LoweredProgram
  /// In which order the threads of a block run until they wait.
  public var order = EmulatedCUDA.ThreadOrder.ascending

  private let code: EmulatedCUDA
  private let arena: Arena
  private let stepKernels: [Int]

  public var parameters: [(name: String, type: TensorType)] {
    program.function.parameters.map { (program.function.name(of: $0), program.function.type(of: $0)) }
  }
  public var results: [(name: String, type: TensorType)] {
    let names = program.function.resultNames
    return program.function.results.enumerated().map { number, value in
      (number < names.count ? names[number] : "", program.function.type(of: value))
    }
  }

  public init(_ module: Module, entry: String, options: CompileOptions = CompileOptions()) throws(Diagnostic) {
    program = try lower(module, entry: entry, options: options)
    let kernels = program.module.kernels
    var mapped: [(kernel: Kernel, mapping: ThreadMapping)] = []
    do throws(Violation) {
      arena = try Arena(size: max(1, program.plan.bytes))
      for kernel in kernels { mapped.append((kernel, try mapToThreads(kernel))) }
    } catch {
      throw Diagnostic(error.message)
    }
    code = try EmulatedCUDA.compile(mapped)
    let numbers = Dictionary(uniqueKeysWithValues: kernels.enumerated().map { ($1.name, $0) })
    stepKernels = program.plan.steps.map { numbers[$0.kernel]! }
  }

  /// Runs the function once.
  public func run() throws(Diagnostic) {
    for (step, kernel) in zip(program.plan.steps, stepKernels) {
      try code.run(kernel, step.buffers.map { arena.base + $0.offset }, order: order)
    }
    for (from, to) in program.plan.copies {
      (arena.base + to.offset).copyMemory(from: arena.base + from.offset, byteCount: to.bytes)
    }
  }

  /// Lends the memory of parameter `number`.
  public func withParameter<R>(_ number: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> R) rethrows -> R {
    let slot = program.plan.parameters[number]
    return try body(UnsafeMutableRawBufferPointer(start: arena.base + slot.offset, count: slot.bytes))
  }

  /// Lends the memory of result `number`, as the last run left it.
  public func withResult<R>(_ number: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    let slot = program.plan.results[number]
    return try body(UnsafeRawBufferPointer(start: arena.base + slot.offset, count: slot.bytes))
  }
}
