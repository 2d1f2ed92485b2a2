import CUDABackend
import IR
import Passes
import Runtime

/// A function as CUDA text that this machine's processor executes, with the memory it runs in: `CPUProgram`'s twin, for
/// checking what a GPU would do.
public final class EmulatedProgram: Executable {
  public let program: LoweredProgram
  /// In which order the threads of a block run until they wait.
  public var order = EmulatedCUDA.ThreadOrder.ascending

  private let code: EmulatedCUDA
  private let arena: Arena
  private let stepKernels: [Int]

  public var function: Function { program.source }

  public init(_ module: Module, entry: String, options: CompileOptions = CompileOptions()) throws(Diagnostic) {
    program = try lower(module, entry: entry, options: options)
    do throws(Violation) { arena = try Arena(size: max(1, program.plan.bytes)) } catch { throw Diagnostic(error.message) }
    code = try EmulatedCUDA.compile(program.mapped(), cacheDirectory: options.cacheDirectory)
    let numbers = Dictionary(uniqueKeysWithValues: program.module.kernels.enumerated().map { ($1.name, $0) })
    stepKernels = program.plan.steps.map { numbers[$0.kernel]! }
  }

  /// Runs the function once.
  public func run() throws(Diagnostic) {
    for (step, kernel) in zip(program.plan.steps, stepKernels) {
      copy(step.copies)
      try code.run(kernel, step.buffers.map { arena.base + $0.offset }, order: order)
    }
    copy(program.plan.copies)
  }

  private func copy(_ places: [(from: MemoryPlan.Slot, to: MemoryPlan.Slot)]) {
    for (from, to) in places {
      (arena.base + to.offset).copyMemory(from: arena.base + from.offset, byteCount: to.bytes)
    }
  }

  public func write(_ tensor: HostTensor, to parameter: Int) throws(Diagnostic) {
    try check(tensor, for: parameter)
    let slot = program.plan.parameters[parameter]
    let memory = UnsafeMutableRawBufferPointer(start: arena.base + slot.offset, count: slot.bytes)
    tensor.withBytes { memory.copyMemory(from: $0) }
  }

  public func parameter(_ number: Int) throws(Diagnostic) -> HostTensor {
    try copy(program.plan.parameters[number], function.type(of: function.parameters[number]))
  }

  public func result(_ number: Int) throws(Diagnostic) -> HostTensor {
    try copy(program.plan.results[number], function.type(of: function.results[number]))
  }

  private func copy(_ slot: MemoryPlan.Slot, _ type: TensorType) throws(Diagnostic) -> HostTensor {
    let memory = UnsafeRawBufferPointer(start: arena.base + slot.offset, count: slot.bytes)
    return try HostTensor(type) { (bytes) throws(Diagnostic) in bytes.copyMemory(from: memory) }
  }
}
