import CUDABackend
import Foundation
import IR
import Passes
import Runtime

/// A function as kernels of a GPU, or of its emulation, with the memory they run in: `CPUProgram`'s twin.
///
/// Parameters and results have fixed places in one piece of memory on the device, so that a training state stays there;
/// only what is written and what is read passes between host and device, beside the runs. The first run waits after every
/// launch, so that a fault is told with its kernel and model line, and records the launches; every later run is one replay
/// of them, and returns before the device is done. After the first run nothing is allocated.
public final class DeviceProgram: LoweredExecutable {
  public let program: LoweredProgram
  /// What compiling took: passes, then machine code.
  public let passSeconds: Double
  public let codeSeconds: Double
  public let queue: any DeviceQueue

  private let memory: DeviceMemory
  private let transfers: Transfers
  private let stepKernels: [Int]
  private let waitsAfterLaunches: Bool
  private var replayed: (any RecordedWork)?
  private var runs = 0
  /// Stands behind the last run.
  private let ran: any QueueMark
  /// What was written since.
  private var written: [MemoryPlan.Slot] = []

  /// How a device is given the kernels of a program.
  public typealias QueueMaker = ([(kernel: Kernel, mapping: ThreadMapping)]) throws(Diagnostic) -> any DeviceQueue

  /// A program on the device whose queue `make` opens.
  public init(
    _ module: Module, entry: String, options: CompileOptions = CompileOptions(), within limits: ThreadLimits = ThreadLimits(),
    on make: QueueMaker
  ) throws(Diagnostic) {
    program = try lower(module, entry: entry, options: options)
    passSeconds = program.seconds
    waitsAfterLaunches = options.checksLaunches
    let clock = ContinuousClock()
    let start = clock.now
    var limits = limits
    limits.allowsTF32 = limits.allowsTF32 || options.precision == .tf32
    queue = try make(program.mapped(within: limits))
    codeSeconds = (clock.now - start).inSeconds
    stepKernels = program.stepKernels
    try program.checkMemory(on: queue, limit: options.deviceMemoryLimit)
    do throws(Diagnostic) {
      memory = try queue.allocate(bytes: program.deviceBytes(on: queue))
      let staging = memory.address + UInt64(program.stagingOffset(on: queue))
      transfers = try Transfers(queue, staging: staging, bytes: program.stagingBytes)
      ran = try queue.makeMark()
    } catch {
      throw program.located(error, at: program.plan.largestStep, on: queue)
    }
  }

  deinit {
    // The queue may still use the memory.
    try? queue.synchronize()
  }

  /// A program on this machine's GPU.
  public convenience init(
    onGPU module: Module, entry: String, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    let device = try CUDADevice.standard()
    let limits = try ThreadLimits(of: device)
    try self.init(module, entry: entry, options: options, within: limits) { kernels throws(Diagnostic) in
      try GPUQueue(kernels, on: device, cacheDirectory: options.cacheDirectory)
    }
  }

  /// A program that this machine's processor runs as a GPU would; for checking.
  public convenience init(
    emulated module: Module, entry: String, order: EmulatedCUDA.ThreadOrder = .ascending,
    options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    try self.init(module, entry: entry, options: options) { kernels throws(Diagnostic) in
      try EmulatedQueue(kernels, order: order, cacheDirectory: options.cacheDirectory)
    }
  }

  public var function: Function { program.source }
  public var plannedBytes: Int { memory.bytes }
  public var usedBytes: Int? { memory.bytes }

  /// Puts a run into the queue; what is read afterwards waits for it.
  public func run() throws(Diagnostic) {
    if let replayed {
      do throws(Diagnostic) { try replayed.replay() } catch { throw afterwards(error) }
    } else {
      try putSteps { () throws(Diagnostic) in try queue.synchronize() }
      if !waitsAfterLaunches {
        let strands = try Strands(StepOrder(program.accesses(on: queue), most: queue.strands), on: queue)
        replayed = try queue.record { () throws(Diagnostic) in try putSteps(in: strands) }
      }
    }
    runs += 1
    do throws(Diagnostic) { try ran.set(in: .work) } catch { throw afterwards(error) }
    written = []
  }

  /// Puts all launches and copies of a run into the queue, one after the other or in strands, and does `afterEach` after
  /// each launch.
  private func putSteps(
    in strands: Strands? = nil, _ afterEach: () throws(Diagnostic) -> Void = {}
  ) throws(Diagnostic) {
    try strands?.begin()
    for number in program.plan.steps.indices {
      do throws(Diagnostic) {
        let strand = try strands?.enter(number) ?? 0
        try put(step: number, strand: strand)
        try strands?.leave(number)
        try afterEach()
      } catch {
        throw program.located(error, at: number, on: queue)
      }
    }
    do throws(Diagnostic) {
      try strands?.join()
      try copy(program.plan.copies, strand: 0)
    } catch { throw afterwards(error) }
  }

  private func put(step number: Int, strand: Int) throws(Diagnostic) {
    let step = program.plan.steps[number]
    try copy(step.copies, strand: strand)
    let scratch = memory.address + UInt64(program.scratchOffset)
    try queue.launch(stepKernels[number], step.buffers.map(address), scratch: scratch, strand: strand)
  }

  private func copy(_ places: [(from: MemoryPlan.Slot, to: MemoryPlan.Slot)], strand: Int) throws(Diagnostic) {
    for (from, to) in places { try queue.copy(from: address(from), to: address(to), bytes: to.bytes, strand: strand) }
  }

  private func address(_ slot: MemoryPlan.Slot) -> UInt64 { memory.address + UInt64(slot.offset) }

  /// Runs the function once, launch by launch, and gives the seconds of the device that each step took, with its
  /// kernel's name.
  public func profile() throws(Diagnostic) -> [(kernel: String, seconds: Double)] {
    func marked() throws(Diagnostic) -> any QueueMark {
      let mark = try queue.makeMark()
      try mark.set(in: .work)
      return mark
    }
    var marks = [try marked()]
    try putSteps { () throws(Diagnostic) in marks.append(try marked()) }
    try queue.synchronize()
    var times: [(kernel: String, seconds: Double)] = []
    for (number, step) in program.plan.steps.enumerated() {
      times.append((step.kernel, try marks[number + 1].seconds(since: marks[number])))
    }
    return times
  }

  public func write(_ tensor: HostTensor, to parameter: Int) throws(Diagnostic) {
    try check(tensor, for: parameter)
    let slot = program.plan.parameters[parameter]
    written.append(slot)
    do throws(Diagnostic) {
      try tensor.withBytes { bytes throws(Diagnostic) in try transfers.write(bytes, to: address(slot)) }
    } catch { throw afterwards(error) }
  }

  public func parameter(_ number: Int) throws(Diagnostic) -> HostTensor {
    try read(program.plan.parameters[number], function.type(of: function.parameters[number]))
  }

  public func result(_ number: Int) throws(Diagnostic) -> HostTensor {
    try read(program.plan.results[number], function.type(of: function.results[number]))
  }

  /// Waits for the last run; for what was written after it only if that is what is read.
  private func read(_ slot: MemoryPlan.Slot, _ type: TensorType) throws(Diagnostic) -> HostTensor {
    let isRunsWork = runs > 0 && !written.contains { $0.overlaps(slot) }
    do throws(Diagnostic) {
      return try HostTensor(type) { (bytes) throws(Diagnostic) in
        try transfers.read(address(slot), into: bytes, after: isRunsWork ? ran : nil)
      }
    } catch { throw afterwards(error) }
  }

  /// An error that a call learnt of some time after its cause.
  private func afterwards(_ error: Diagnostic) -> Diagnostic {
    var error = error
    error.message = "in run \(runs) of @\(function.name) on \(queue.deviceName): \(error.message)"
    if !error.location.isKnown { error.location = program.plan.steps.first { $0.location.isKnown }?.location ?? .unknown }
    if runs > 1, !waitsAfterLaunches { error.message += "; with --check-launches the launch at fault is named" }
    return error
  }
}
