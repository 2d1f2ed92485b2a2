#if LLVM
  import Foundation
  import IR
  import LLVMBackend
  import Passes
  import Runtime

  /// A function as machine code, with the memory it runs in.
  ///
  /// Parameters and results have fixed places in one arena: write the parameters, `run`, read the results. A donated
  /// parameter holds its new value after the run. After the first run nothing is allocated.
  public final class CPUProgram: LoweredExecutable {
    public let program: LoweredProgram
    /// What compiling took: passes, then machine code.
    public let passSeconds: Double
    public let codeSeconds: Double
    public let statistics: CPUCompiler.Statistics

    private let kernels: [CPUKernel]
    private let arena: Arena
    private let pool: ThreadPool
    /// The pointers of all steps, one after the other.
    private let table: UnsafeMutablePointer<UnsafeMutableRawPointer?>
    private let firsts: [Int]
    private let stepKernels: [Int]

    public var function: Function { program.source }
    /// Bytes of the arena, and of the scratch memory of all threads.
    public var plannedBytes: Int { program.plan.bytes + scratchBytes }
    /// The part of them that runs have touched so far; `nil` where the system does not tell.
    public var usedBytes: Int? { arena.residentBytes.map { $0 + scratchBytes } }
    private var scratchBytes: Int { pool.threads * (kernels.map(\.scratchBytes).max() ?? 0) }

    public init(_ module: Module, entry: String, options: CompileOptions = CompileOptions()) throws(Diagnostic) {
      program = try lower(module, entry: entry, options: options)
      passSeconds = program.seconds
      let clock = ContinuousClock()
      let start = clock.now
      let compiler = CPUCompiler(cacheDirectory: options.cacheDirectory)
      kernels = try compiler.compile(program.module.kernels.map(expandMath))
      statistics = compiler.statistics
      codeSeconds = (clock.now - start).inSeconds
      pool = options.threads.map { ThreadPool(threads: $0) } ?? .shared
      do {
        arena = try Arena(size: max(1, program.plan.bytes))
        try pool.reserveScratch(kernels.map(\.scratchBytes).max() ?? 0)
      } catch {
        throw Diagnostic(error.message)
      }
      stepKernels = program.stepKernels
      var firsts: [Int] = []
      var count = 0
      for step in program.plan.steps {
        firsts.append(count)
        count += step.buffers.count
      }
      self.firsts = firsts
      table = .allocate(capacity: max(1, count))
      var next = 0
      for slot in program.plan.steps.flatMap(\.buffers) {
        table[next] = arena.base + slot.offset
        next += 1
      }
    }

    deinit { table.deallocate() }

    /// Runs the function once.
    public func run() {
      for (step, kernel) in stepKernels.enumerated() {
        copy(program.plan.steps[step].copies)
        kernels[kernel].run(UnsafePointer(table + firsts[step]), on: pool)
      }
      copy(program.plan.copies)
    }

    private func copy(_ places: [(from: MemoryPlan.Slot, to: MemoryPlan.Slot)]) {
      for (from, to) in places {
        (arena.base + to.offset).copyMemory(from: arena.base + from.offset, byteCount: to.bytes)
      }
    }

    /// Runs the function once and gives the seconds each step took, with its kernel's name.
    public func profile() -> [(kernel: String, seconds: Double)] {
      let clock = ContinuousClock()
      let times = stepKernels.enumerated().map { step, kernel in
        let start = clock.now
        copy(program.plan.steps[step].copies)
        kernels[kernel].run(UnsafePointer(table + firsts[step]), on: pool)
        return (kernels[kernel].name, (clock.now - start).inSeconds)
      }
      copy(program.plan.copies)
      return times
    }

    public func write(_ tensor: HostTensor, to parameter: Int) throws(Diagnostic) {
      try check(tensor, for: parameter)
      withParameter(parameter) { memory in tensor.withBytes { memory.copyMemory(from: $0) } }
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
#endif
